package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exitCodesTopic is a page of the help, not a command.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long:  exitCodesHelp(),
	}
}

func exitCodesHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes: only 0 lets a release pass.\n\n")
	for _, k := range codes {
		fmt.Fprintf(&b, "%3d  %-14s  %s\n", k.code, k.name, k.when)
	}
	b.WriteString(`
A run can end badly in more than one way. The code is then that of the first of
1, 11, 9, 5 to 8, 4 (the run may not be judged), 3, 4 (not proven, no data), 10;
verdict.json repeats it with all reasons.`)
	return b.String()
}

// helpCommand shows the help of a command or a topic; unlike cobra's own it
// ends in a fault when there is no such page.
func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "Help about a command or a topic",
		Example: `  runner help run
  runner help exit-codes`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range root.Commands() {
				names = append(names, c.Name())
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			page := root
			for _, name := range args {
				next := child(page, name)
				if next == nil {
					return unknownCommand(page, name)
				}
				page = next
			}
			page.InitDefaultHelpFlag()
			return page.Help()
		},
	}
}

func child(parent *cobra.Command, name string) *cobra.Command {
	for _, c := range parent.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}
