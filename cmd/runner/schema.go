package main

import (
	"github.com/spf13/cobra"

	"tollgate/schema"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [spec | result]",
		Short: "Print the JSON Schema of specs, or of result.json",
		Long: `schema prints the JSON Schema (draft 2020-12) of specs, which teaches an editor
to complete them, or of the result.json that a run leaves behind.`,
		Example: `  runner schema > spec.v1.json
  runner schema result`,
		Args:      takes(0, 1, "at most one name"),
		ValidArgs: []string{"spec", "result"},
		RunE: func(_ *cobra.Command, args []string) error {
			document := schema.Spec
			switch {
			case len(args) == 0 || args[0] == "spec":
			case args[0] == "result":
				document = schema.Result
			default:
				return misuse("there are spec and result", "no schema is called %q", args[0])
			}
			_, err := a.out.Write(document)
			return err
		},
	}
}
