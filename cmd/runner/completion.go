package main

import (
	"github.com/spf13/cobra"

	"tollgate/internal/expr"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print what makes a shell complete commands, flags and profiles",
		Example: `  runner completion bash > /etc/bash_completion.d/runner
  runner completion zsh > "${fpath[1]}/_runner"
  runner completion fish > ~/.config/fish/completions/runner.fish`,
		Args:      takes(1, 1, "the name of a shell"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
			hint := "the shells are bash, zsh, fish and powershell"
			if near := expr.Nearest(args[0], shells); near != "" {
				hint = "did you mean " + near + "?"
			}
			return misuse(hint, "no completion for the shell %q", args[0])
		},
	}
}
