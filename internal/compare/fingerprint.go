// Package compare sets stored runs beside each other and beside promises that
// they were not run with: fingerprints that say whether two runs may be
// compared, evidence for other promises, and the statistics of differences.
//
// It is pure and knows no command line. It judges no run by its own promises:
// that is pkg/slo.
package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/report"
	"tollgate/pkg/spec"
)

// Fingerprint returns what another run must have in common with a run of s to
// be compared with it.
//
// The random seed is no part of it: it is another one in every run unless it
// was asked for, and what it decides is noise that the intervals count. Nor is
// the target: it is what is compared.
func Fingerprint(s *spec.Spec, g report.Generator) report.Fingerprint {
	return report.Fingerprint{
		Spec:      s.Traffic,
		Load:      Load(s),
		Generator: g.Version,
		Topology:  fmt.Sprintf("1 machine, %s/%s, %d cores, %s driver, %d loops", g.OS, g.Arch, g.Cores, g.Driver, g.Loops),
	}
}

// Load describes how much of its work a spec asks for, with all overrides: who
// takes part, and then a line for each stage.
func Load(s *spec.Spec) []string {
	var who []string
	for _, p := range s.Personas {
		who = append(who, fmt.Sprintf("%s %d", p.Name, p.Weight))
	}
	out := []string{"personas: " + strings.Join(who, ", ")}
	for _, st := range s.Stages {
		out = append(out, stage(st))
	}
	return out
}

// stage describes everything that decides the load of a stage.
func stage(st *spec.Stage) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case st.Shape == spec.Pause:
	case st.Shape == spec.Steps:
		unit := " users"
		if st.Level.Open {
			unit = "/s"
		}
		add("%s to %s by %s%s, %s each", plain(st.From), plain(st.To), plain(st.By), unit, st.Every)
	case st.Level.ByPersona != nil:
		var levels []string
		for name, n := range st.Level.ByPersona {
			levels = append(levels, fmt.Sprintf("%s %d", name, n))
		}
		slices.Sort(levels)
		add("users: %s", strings.Join(levels, ", "))
	case st.Level.Open:
		add("%s/s", plain(st.Level.Rate))
	case st.Level.Users == 1:
		add("1 user")
	default:
		add("%d users", st.Level.Users)
	}
	if st.Level.Open {
		if st.Level.Uniform {
			add("uniform")
		}
		if st.Level.MaxUsers > 0 {
			add("at most %d users", st.Level.MaxUsers)
		}
	}
	switch {
	case st.Ramp.Rate > 0:
		add("ramp %s/s", plain(st.Ramp.Rate))
	case st.Ramp.Over > 0:
		add("ramp %s", st.Ramp.Over)
	}
	switch {
	case st.ForMax > 0:
		add("for %s..%s", st.For, st.ForMax)
	case st.For > 0:
		add("for %s", st.For)
	}
	if st.Back > 0 {
		add("back %s", st.Back)
	}
	if len(st.Personas) > 0 {
		add("only %s", strings.Join(st.Personas, ", "))
	}
	if st.Until != nil {
		add("until %s", st.Until)
	}
	name := st.Name
	if name != string(st.Shape) {
		name += " (" + string(st.Shape) + ")"
	}
	return name + ": " + strings.Join(parts, ", ")
}

func plain(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// Difference is a field in which two fingerprints differ.
type Difference struct {
	Field string `json:"field"` // as in result.json: spec, data, load, generator, topology
	A     string `json:"a"`
	B     string `json:"b"`
}

// String says it in one line, with the runs called as given.
func (d Difference) String() string { return fmt.Sprintf("%s: %s, and %s", d.Field, d.A, d.B) }

// Unlike lists the fields in which two fingerprints differ, none for runs that
// may be compared.
func Unlike(a, b report.Fingerprint) []Difference {
	out := UnlikeLoad(a, b)
	if a.Generator != b.Generator {
		out = append(out, Difference{"generator", a.Generator, b.Generator})
	}
	if a.Topology != b.Topology {
		out = append(out, Difference{"topology", a.Topology, b.Topology})
	}
	return out
}

// UnlikeLoad is Unlike for what a spec asks for, whatever machine answered: the
// requests, and how many.
func UnlikeLoad(a, b report.Fingerprint) []Difference {
	var out []Difference
	if a.Spec != b.Spec {
		out = append(out, Difference{"spec", short(a.Spec), short(b.Spec)})
	}
	if a.Data != b.Data {
		out = append(out, Difference{"data", short(a.Data), short(b.Data)})
	}
	if !slices.Equal(a.Load, b.Load) {
		i := 0
		for i < min(len(a.Load), len(b.Load)) && a.Load[i] == b.Load[i] {
			i++
		}
		at := func(load []string) string {
			if i >= len(load) {
				return "nothing more"
			}
			return load[i]
		}
		out = append(out, Difference{"load", at(a.Load), at(b.Load)})
	}
	return out
}

// short is as much of a digest as tells two of them apart.
func short(digest string) string {
	const enough = len("sha256:") + 12
	if len(digest) > enough {
		return digest[:enough]
	}
	if digest == "" {
		return "unknown"
	}
	return digest
}

// Short says where a stored run is less than its spec asks for: it was ended
// early, or one of its stages was. What it shows is then not the load that
// promises are about.
func Short(d *report.Document, s *spec.Spec) (reasons []string) {
	if !d.Complete {
		return []string{"the stored run did not run to its end"}
	}
	for _, st := range s.Stages {
		if st.Shape == spec.Steps || st.Shape == spec.Pause {
			continue
		}
		at := slices.IndexFunc(d.Stages, func(was report.Stage) bool { return was.Name == st.Name })
		if at < 0 {
			reasons = append(reasons, fmt.Sprintf("the stage %s did not take place in the stored run", st.Name))
			continue
		}
		// A part of a stage ends some milliseconds late, and never early.
		const slack = 50 * time.Millisecond
		held := time.Duration(d.Stages[at].Held * float64(time.Second))
		if held+slack < st.For {
			reasons = append(reasons, fmt.Sprintf("the stage %s was held for %s of %s in the stored run", st.Name, held, st.For))
		}
	}
	return reasons
}
