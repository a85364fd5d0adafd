package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ouro-io/ouro/bench/internal/report"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// readDocument reads what --json has written. Where the samples are there the tables are made of them anew, so that results
// of an older suite are judged as those of this one.
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
	if len(d.Samples) > 0 {
		cells := make([]suite.Cell, len(d.Tables))
		for i, t := range d.Tables {
			cells[i] = t.Cell
		}
		d.Tables = report.Summarize(cells, d.Samples)
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

// compareCommand tells two results apart.
func compareCommand() *cobra.Command {
	var all, strict bool
	cmd := &cobra.Command{Use: "compare A.json B.json", Short: "Tell which ratios of two results differ by more than their noise",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := readDocument(args[0])
			if err != nil {
				return err
			}
			b, err := readDocument(args[1])
			if err != nil {
				return err
			}
			c := report.Compare(a, b)
			if err := c.WriteText(cmd.OutOrStdout(), all); err != nil {
				return err
			}
			if n := c.Worse("ouro"); strict && n > 0 {
				return fmt.Errorf("%d figures of ouro's got worse", n)
			}
			return nil
		}}
	cmd.Flags().BoolVar(&all, "all", false, "print the ratios that agree as well")
	cmd.Flags().BoolVar(&strict, "strict", false, "fail when a figure of ouro's got worse by more than the noise")
	return cmd
}

// docsCommand writes the generated parts of the documents, and the results that they come from beside them.
func docsCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: "docs RESULTS.json", Short: "Bring docs/benchmarks.md and docs/choosing.md up to date with results",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := readDocument(args[0])
			if err != nil {
				return err
			}
			if err := writeFile(filepath.Join(dir, resultsFile), func(w io.Writer) error { return report.WriteTables(w, d) }); err != nil {
				return err
			}
			return updateDocs(dir, true)
		}}
	cmd.Flags().StringVar(&dir, "dir", "docs", "folder of the documents")
	return cmd
}

// resultsFile is what the documents are made from.
const resultsFile = "results.json"

// updateDocs makes the generated parts from the results in dir. It fails when they are stale and may not be written.
func updateDocs(dir string, write bool) error {
	d, err := readDocument(filepath.Join(dir, resultsFile))
	if err != nil {
		return err
	}
	for _, p := range report.Parts() {
		path := filepath.Join(dir, p.File)
		old, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, err := report.Replace(string(old), p.Name, p.Make(d))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if text == string(old) {
			continue
		}
		if !write {
			return fmt.Errorf("%s, part %s, is older than %s or the code; run: go run ./bench docs docs/%s", path, p.Name, resultsFile, resultsFile)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
