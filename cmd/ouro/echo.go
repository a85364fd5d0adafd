package main

import (
	"context"

	"github.com/urfave/cli/v3"
)

func echoCommand() *cli.Command {
	return &cli.Command{Name: "echo", Action: func(_ context.Context, c *cli.Command) error { return noArguments(c) }}
}
