package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tollgate/pkg/exec"
	"tollgate/pkg/spec"
)

// load is which test, and what the command line changes of it.
type load struct {
	profile  string
	target   string
	users    int
	rate     string
	ramp     string
	hold     string
	stages   []string
	personas []string
	set      []string
	seed     string
	allow    []string // hosts; of commands for the database alone

	flags *pflag.FlagSet
}

// changing are the flags that make the test another one than the file's.
var changing = []string{"target", "users", "rate", "ramp", "for", "stage", "persona", "set"}

// addFlags defines the flags of a command that takes a spec.
func (l *load) addFlags(fs *pflag.FlagSet) {
	l.flags = fs
	fs.SortFlags = false
	fs.StringVar(&l.profile, "profile", "", "another size of the same test, by its `name` in the spec")
	fs.StringVar(&l.target, "target", "", "`URL` of the system under test, instead of the spec's")
	fs.IntVar(&l.users, "users", 0, "`number` of users of every judged stage")
	fs.StringVar(&l.rate, "rate", "", "arrivals of every judged stage, as in `50/s`")
	fs.StringVar(&l.ramp, "ramp", "", "way to the level of every judged stage, as in `30s` or 5/s")
	fs.StringVar(&l.hold, "for", "", "how long every judged stage holds, as in `2m` or 1m..5m")
	fs.StringArrayVar(&l.stages, "stage", nil, "only the stage of this `name` (repeatable)")
	fs.StringArrayVar(&l.personas, "persona", nil, "only the persona of this `name` (repeatable)")
	fs.StringArrayVar(&l.set, "set", nil, "another value, as in `values.domain=example.org` (repeatable)")
	fs.StringVar(&l.seed, "random-seed", "", "`number` that decides every draw of chance (default: a new one, printed and stored)")
}

// addDataFlags defines the flags of a command that takes a spec for its database.
func (l *load) addDataFlags(fs *pflag.FlagSet) {
	l.flags = fs
	fs.SortFlags = false
	fs.StringVar(&l.profile, "profile", "", "another size of the same test, by its `name` in the spec")
	fs.StringArrayVar(&l.set, "set", nil, "another value, as in `values.domain=example.org` (repeatable)")
	fs.StringVar(&l.seed, "random-seed", "", "`number` that decides every draw of chance (default: a new one, printed and stored)")
	fs.StringArrayVar(&l.allow, "allow-host", nil, "connect only to hosts of this `pattern`: *.test.example, 10.0.0.0/8 (repeatable)")
}

// overrides returns the flags that change the test, as they would be typed.
func (l *load) overrides() []string {
	var out []string
	for _, name := range changing {
		f := l.flags.Lookup(name)
		switch {
		case f == nil || !f.Changed:
		case f.Value.Type() == "stringArray":
			for _, value := range f.Value.(pflag.SliceValue).GetSlice() {
				out = append(out, "--"+name+" "+value)
			}
		default:
			out = append(out, "--"+name+" "+f.Value.String())
		}
	}
	return out
}

// override reads the flags that change levels and times.
func (l *load) override() (spec.Override, error) {
	o := spec.Override{Stages: l.stages, Personas: l.personas}
	if l.flags.Changed("users") {
		o.Users = &l.users
	}
	if l.flags.Changed("rate") {
		rate, err := quantity("rate", l.rate, spec.ParseRate)
		if err != nil {
			return o, err
		}
		o.Rate = &rate
	}
	if l.flags.Changed("ramp") {
		ramp, err := quantity("ramp", l.ramp, parseRamp)
		if err != nil {
			return o, err
		}
		o.Ramp = &ramp
	}
	if l.flags.Changed("for") {
		least, err := quantity("for", l.hold, func(text string) (least time.Duration, err error) {
			least, o.ForMax, err = spec.ParseHold(text)
			return least, err
		})
		if err != nil {
			return o, err
		}
		o.For = &least
	}
	return o, nil
}

// parseRamp reads a duration, or a speed as in 5/s.
func parseRamp(text string) (spec.Ramp, error) {
	if strings.Contains(text, "/") {
		speed, err := spec.ParseRate(text)
		return spec.Ramp{Rate: speed}, err
	}
	over, err := spec.ParseDuration(text)
	return spec.Ramp{Over: over}, err
}

// quantity reads the value of a flag that has a unit.
func quantity[T any](flag, text string, parse func(string) (T, error)) (T, error) {
	value, err := parse(text)
	if err == nil {
		return value, nil
	}
	var q *spec.QuantityError
	if errors.As(err, &q) {
		return value, misuse(q.Hint, "--%s: %s", flag, q.Msg)
	}
	return value, misuse("", "--%s: %s", flag, err)
}

// randomSeed returns the seed that was asked for, or a new one.
func (l *load) randomSeed() (uint64, error) {
	if !l.flags.Changed("random-seed") {
		return newSeed(), nil
	}
	n, err := strconv.ParseUint(l.seed, 10, 64)
	if err != nil {
		return 0, misuse("write a whole number, as in --random-seed 42", "--random-seed: %q is no seed", l.seed)
	}
	return n, nil
}

// newSeed returns a seed that people can type again.
func newSeed() uint64 { return uint64(time.Now().UnixNano()/1e3) % 1e9 }

// source is a spec file as it was read.
type source struct {
	name string
	text []byte
}

// tooMuch is beyond what spec.Parse accepts, so that it, and not memory, refuses the rest.
const tooMuch = 2 << 20

// readSpec reads a spec file.
func readSpec(name string) (source, error) {
	f, err := os.Open(name)
	if err != nil {
		return source{}, unreadable(name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, tooMuch))
	if err != nil {
		return source{}, unreadable(name, err)
	}
	return source{name, text}, nil
}

// mostOfFile is beyond what spec.Parse accepts of a file that a spec names.
const mostOfFile = 64<<20 + 1

// file reads a file that the spec names, by its path from the spec's folder. A
// spec may come from a stranger: what it names is a regular file below that
// folder, however its path and its links wind, and none that the kernel makes
// up while it is read, such as those of /proc.
func (s source) file(name string) ([]byte, error) {
	root, err := os.OpenRoot(filepath.Dir(s.name))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not keep us waiting
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, mostOfFile))
	if err == nil && int64(len(data)) != min(info.Size(), mostOfFile) {
		err = errors.New("it changes while it is read")
	}
	return data, err
}

func unreadable(name string, err error) error {
	hint := ""
	if errors.Is(err, fs.ErrNotExist) {
		hint = "is the path right? it is taken from the present folder"
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return misuse(hint, "%s: %v", name, err)
}

// spec reads and changes a test. Its secrets are hidden as soon as they are found.
func (a *app) spec(src source, l *load) (*spec.Spec, error) {
	o, err := l.override()
	if err != nil {
		return nil, err
	}
	s, faults := spec.Parse(src.name, src.text, spec.Options{Profile: l.profile, Set: l.set, Target: l.target, Env: a.env, ReadFile: src.file, Secret: a.keepSecret})
	if faults != nil {
		return nil, a.faulty(faults)
	}
	if s, faults = s.With(o); faults != nil {
		return nil, a.faulty(faults)
	}
	return s, nil
}

// plan reads, changes and compiles a test.
func (a *app) plan(src source, l *load, descriptors int) (*exec.Plan, error) {
	seed, err := l.randomSeed()
	if err != nil {
		return nil, err
	}
	s, err := a.spec(src, l)
	if err != nil {
		return nil, err
	}
	p, err := exec.Compile(s, exec.Options{Seed: seed, MaxConnections: descriptors})
	if err != nil {
		return nil, misuse("", "%v", err)
	}
	if b := budget(); b.Memory > 0 && p.Needs().Memory > b.Memory { // the system would end the run without a report
		return nil, misuse("", "%s", p.Shortages(exec.Budget{Memory: b.Memory})[0])
	}
	return p, nil
}

// keepSecret hides a secret in all output from now on.
func (a *app) keepSecret(secret string) {
	a.out.keepSecret(secret)
	a.err.keepSecret(secret)
}

// faulty prints the faults of a spec, each with its place, and returns the end
// that they lead to.
func (a *app) faulty(faults spec.Faults) error {
	_ = faults.Format(a.err) // the printer keeps the error
	var reasons []string
	for _, f := range faults {
		reasons = append(reasons, f.String())
	}
	return &fault{exit: state{badSpec: reasons}.exit(), told: true}
}

// completeProfiles completes --profile from the spec that the command line names.
func (a *app) completeProfiles(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	src, err := readSpec(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, faults := spec.Parse(src.name, src.text, spec.Options{Env: a.env, ReadFile: src.file, Secret: a.keepSecret})
	if faults != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.Profiles, cobra.ShellCompDirectiveNoFileComp
}

// specFiles completes a command's arguments with the files that can be specs.
func specFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// stageLines shows the load over time, a line for each stage.
func stageLines(p *exec.Plan) []string {
	var out []string
	for _, st := range p.Forecast(assumedLatency).Stages {
		var parts []string
		for _, pt := range st.Parts {
			if pt.Over <= 0 {
				continue
			}
			level := countText(pt.Level) + " users"
			if st.Open {
				level = rateText(pt.Level)
			}
			switch {
			case st.Shape == spec.Pause:
				parts = append(parts, pt.Over.String())
			case pt.Moving:
				parts = append(parts, fmt.Sprintf("to %s over %s", level, pt.Over))
			default:
				parts = append(parts, fmt.Sprintf("%s for %s", level, pt.Over))
			}
		}
		out = append(out, fmt.Sprintf("%s: %s", st.Name, strings.Join(parts, ", ")))
	}
	return out
}
