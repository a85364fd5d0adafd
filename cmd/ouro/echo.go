package main

import "github.com/urfave/cli/v3"

func echoCommand() *cli.Command { return &cli.Command{Name: "echo"} }
