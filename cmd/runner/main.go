// Command runner drives HTTP load from a spec and judges what was promised.
// This package holds flags, files, signals, the screen and the exit codes, and
// wires the rest: one file for each command.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tollgate/internal/expr"
	"tollgate/internal/report"
)

func main() {
	// net/http's HTTP/2 writes to this log what it thinks of a target's frames.
	// What a target does is counted, and does not flood the screen.
	log.SetOutput(io.Discard)
	os.Exit(int(execute(os.Args[1:], os.Stdout, os.Stderr)))
}

// app is what every command has at hand.
type app struct {
	out *printer // results
	err *printer // progress and complaints
	env func(string) (string, bool)
	// canvas is the picture of a run on err.
	canvas *canvas
}

// execute runs one command line and returns its exit code.
func execute(args []string, stdout, stderr *os.File) code {
	a := &app{out: &printer{file: stdout}, err: &printer{file: stderr}, env: os.LookupEnv}
	a.canvas = &canvas{out: a.err}
	a.err.tame = a.inActions()
	return a.guard(func() code {
		root := a.root()
		root.SetArgs(args)
		return a.end(root.ExecuteContext(context.Background()))
	})
}

// guard turns a panic into an exit code of its own, told apart from every
// verdict and from Go's 2.
func (a *app) guard(f func() code) (c code) {
	defer func() {
		if p := recover(); p != nil {
			a.canvas.wipe()
			fmt.Fprintf(a.err, "runner: internal error, please report: %v\n%s", p, debug.Stack())
			c = internal
		}
	}()
	return f()
}

// end tells why a command did not do what it was for, and returns its code.
func (a *app) end(err error) code {
	if err == nil {
		err = cmp.Or(a.undelivered(), a.unsaid())
	}
	if err == nil {
		return pass
	}
	var f *fault
	if !errors.As(err, &f) { // ours are all faults: what is left is cobra's
		f = misuse("", "%s", err)
	}
	if !f.told {
		for _, reason := range f.reasons {
			fmt.Fprintln(a.err, "runner: "+report.Clean(reason)) // which may quote a target
		}
	}
	if f.hint != "" {
		fmt.Fprintln(a.err, "  hint: "+report.Clean(f.hint))
	}
	return f.code
}

// undelivered returns the fault of results that could not be printed.
func (a *app) undelivered() error {
	err := a.out.failed()
	if err == nil {
		return nil
	}
	return &fault{exit: state{notStored: []string{fmt.Sprintf("the results could not be printed: %v", err)}}.exit()}
}

// unsaid returns the fault of a log on a disk that has failed. A reader of stderr
// who has gone away is none.
func (a *app) unsaid() error {
	err := a.err.failed()
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.EDQUOT) {
		return nil
	}
	return &fault{exit: state{notStored: []string{fmt.Sprintf("what was to be said on stderr could not be written: %v", err)}}.exit()}
}

// root assembles the commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "runner",
		Short: "Load tests as YAML specs, and a gate that a release must pass",
		Long: `runner drives HTTP load as a spec says, judges the promises of the spec, and
ends with an exit code that a pipeline can rely on: see runner help exit-codes.`,
		Example: `  runner demo                          a whole run against a built-in system
  runner check specs/*.yaml            every fault, at file:line:col
  runner plan specs/soc.yaml           what would happen; sends nothing
  runner run specs/soc.yaml            load, judge, report`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
	}
	// An empty command line does nothing, and that is not a pass.
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		fmt.Fprint(a.err, cmd.UsageString())
		return misuse("runner help tells more", "no command given")
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagFault)
	root.AddCommand(a.runCommand(), a.checkCommand(), a.planCommand(), a.seedCommand(), a.cleanCommand(), a.reportCommand(), a.regateCommand(), a.compareCommand(), a.attestCommand(), a.verifyCommand(), a.demoCommand(),
		a.schemaCommand(), a.versionCommand(), a.completionCommand(), exitCodesTopic())
	root.SetHelpCommand(a.helpCommand(root))
	return root
}

// unknownCommand names the command that was most likely meant.
func unknownCommand(parent *cobra.Command, name string) error {
	var names []string
	for _, c := range parent.Commands() {
		names = append(names, c.Name())
	}
	hint := "the commands are " + strings.Join(names, ", ")
	if near := expr.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %s %s?", parent.CommandPath(), near)
	}
	return misuse(hint, "%s has no command %q", parent.CommandPath(), name)
}

// flagFault makes a fault of what the flag parser found.
func flagFault(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	hint := cmd.CommandPath() + " --help lists the flags"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := expr.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return misuse(hint, "%s", err)
}

// takes checks the number of arguments of a command.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return misuse("write it like "+firstExample(cmd), "%s needs %s", cmd.CommandPath(), what)
		case len(args) > most:
			return misuse("write it like "+firstExample(cmd), "%s takes no argument %q", cmd.CommandPath(), args[most])
		}
		return nil
	}
}

// firstExample returns the first command line of a command's examples.
func firstExample(cmd *cobra.Command) string {
	line, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	line, _, _ = strings.Cut(line, "  ")
	return line
}
