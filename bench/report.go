package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ouro-io/ouro/bench/internal/report"
)

// readDocument reads what --json has written.
func readDocument(path string) (d report.Document, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	if len(d.Tables) == 0 {
		return d, fmt.Errorf("%s holds no results; make one with --json", path)
	}
	return d, nil
}

// reportCommand makes the page of results that were kept.
func reportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{Use: "report RESULTS.json", Short: "Make the report with charts, or print the tables, of results kept with --json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := readDocument(args[0])
			if err != nil {
				return err
			}
			if out == "" {
				return report.WriteText(cmd.OutOrStdout(), d.Tables)
			}
			return writeFile(out, func(w io.Writer) error { return report.WriteHTML(w, d) })
		}}
	cmd.Flags().StringVar(&out, "html", "", "file to write; without it the tables are printed")
	return cmd
}
