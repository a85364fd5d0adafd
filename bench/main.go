package main

import (
	"context"
	"embed"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

//go:embed c/*.c c/*.h
var sources embed.FS

func main() { os.Exit(execute(os.Args[1:])) }

// execute runs one command and returns the exit status.
func execute(args []string) int {
	cmd := rootCommand()
	cmd.SetArgs(args)
	if err := cmd.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func rootCommand() *cobra.Command {
	cmd := measureCommand(minute)
	cmd.Use = "bench"
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(measureCommand(quick), measureCommand(full), listCommand(), buildCommand(), reportCommand(), compareCommand(), docsCommand(), soakCommand(),
		contestantCommand(), loadCommand())
	return cmd
}
