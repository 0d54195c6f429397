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
	var again bool
	var o recoverOptions
	cmd := &cobra.Command{
		Use:   "report RESULT",
		Short: "Write every report of a stored result again",
		Long: `report makes every file of a result folder from its result.json again, byte for
byte as the run has made them, and says which files it has written. RESULT is
the folder of a run, or its result.json, which is left as it is. It judges
nothing: it ends with 0 when the files are written, whatever they say.

--recover makes the report of a run that was killed, from the journal that it
kept in its result folder second by second. At most its last second is missing.
The report says that it is incomplete and never passes: exit code 9.`,
		Example: `  runner report results/soc-20260314-150926
  runner report results/soc --csv locust/soc
  runner report --recover results/soc-20260314-150926`,
		Args: takes(1, 1, "a stored result"),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case again && csv != "":
				return misuse("recover it first, and write them then", "--csv and --recover do not go together")
			case again:
				return a.recover(args[0], o)
			case o.json:
				return misuse("its verdict.json is in the folder", "--json belongs to --recover")
			}
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
			if err := report.WriteAgain(dir, doc); err != nil {
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
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&again, "recover", false, recoverUsage)
	o.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&csv, "csv", "", "write PREFIX_stats.csv and its siblings too, as Locust's --csv `PREFIX` does")
	return cmd
}
