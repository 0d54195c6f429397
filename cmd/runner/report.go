package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tollgate/internal/report"
)

func (a *app) reportCommand() *cobra.Command {
	var csv string
	cmd := &cobra.Command{
		Use:   "report RESULT",
		Short: "Write every report of a stored result again",
		Long: `report makes every file of a result folder from its result.json again, byte for
byte as the run has made them, and says which files it has written. RESULT is
the folder of a run, or its result.json, which is left as it is.

It judges nothing: it ends with 0 when the files are written, whatever they say.`,
		Example: `  runner report results/soc-20260314-150926
  runner report results/soc --csv locust/soc`,
		Args: takes(1, 1, "a stored result"),
		RunE: func(_ *cobra.Command, args []string) error {
			doc, err := readResult(args[0])
			if err != nil {
				return err
			}
			dir := args[0]
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				dir = filepath.Dir(dir)
			}
			if csv != "" {
				err := report.PrepareCSV(csv)
				if err == nil {
					err = report.WriteCSV(csv, doc)
				}
				if err != nil {
					return &fault{exit: state{notStored: []string{err.Error()}}.exit()}
				}
			}
			if err := report.Render(dir, doc); err != nil {
				return &fault{exit: state{notStored: []string{err.Error()}}.exit()}
			}
			for _, name := range report.Files() {
				fmt.Fprintln(a.out, filepath.Join(dir, name))
			}
			if csv != "" {
				for _, name := range report.CSVFiles(csv) {
					fmt.Fprintln(a.out, name)
				}
			}
			word, why := doc.Headline()
			fmt.Fprintf(a.err, "%s: %s\n", word, why)
			return nil
		},
	}
	cmd.Flags().StringVar(&csv, "csv", "", "write PREFIX_stats.csv and its siblings too, as Locust's --csv `PREFIX` does")
	return cmd
}
