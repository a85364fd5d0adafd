package net

// childEnv names what a re-executed test binary is to do instead of running tests.
const childEnv = "OURO_NET_TEST_CHILD"

func runChild(string) int { return 2 }
