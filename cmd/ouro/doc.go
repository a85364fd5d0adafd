//go:build linux

// Command ouro shows what ouro can do on this machine, and serves echo to try it.
//
//	ouro probe [--json] [--brief]    what this kernel and process can do, which backend is chosen and why
//	ouro echo  [--addr A] [--face F] [--backend B]
//
// The exit status is 0 on success, 1 when something failed (for probe: no engine starts with these settings), 2 when
// the command line is wrong. Linux.
package main
