//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v3"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a wrong command line.
type usageError struct{ error }

func main() {
	// The second signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is the command without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := &cli.Command{
		Name:           "ouro",
		Usage:          "show what ouro can do on this machine, and try it",
		Commands:       []*cli.Command{probeCommand(), echoCommand()},
		Action:         needCommand,
		OnUsageError:   usage,
		Writer:         stdout,
		ErrWriter:      stderr,
		ExitErrHandler: func(context.Context, *cli.Command, error) {},
	}
	for _, c := range app.Commands {
		c.OnUsageError = usage
	}
	err := app.Run(ctx, args)
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintf(stderr, "ouro: %v; try \"ouro help\"\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "ouro: %v\n", err)
	return exitFailed
}

func usage(_ context.Context, _ *cli.Command, err error, _ bool) error { return usageError{err} }

func needCommand(ctx context.Context, c *cli.Command) error {
	if c.Args().Present() {
		return usageError{fmt.Errorf("there is no command %q", c.Args().First())}
	}
	return cli.ShowAppHelp(c)
}

// noArguments refuses what stands behind the flags.
func noArguments(c *cli.Command) error {
	if c.Args().Present() {
		return usageError{fmt.Errorf("%s takes no arguments, got %q", c.Name, c.Args().First())}
	}
	return nil
}
