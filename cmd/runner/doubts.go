package main

import (
	"fmt"

	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// A doubt is a promise of a valid spec that its load can hardly keep or prove,
// or that is missing.
type doubt struct {
	pos  spec.Pos
	msg  string
	hint string
	// machine marks what this machine cannot do; another one may.
	machine bool
}

// doubts are the promises that the load can hardly keep or prove, in the order
// of the spec, and what is missing.
func (f *foresight) doubts() []doubt {
	var out []doubt
	promised := false
	for _, pr := range f.prospects {
		if pr.Guard {
			continue
		}
		promised = promised || !pr.Advisory && !pr.Objective.OfBaseline
		if pr.msg != "" {
			out = append(out, doubt{pos: position(f.spec, pr.Objective), msg: pr.title() + " " + pr.msg, hint: pr.hint})
		}
	}
	if !promised {
		out = append(out, doubt{
			pos:  spec.Pos{File: f.spec.File, Line: 1, Col: 1},
			msg:  "the spec promises nothing that decides: a run of it ends with exit code 4",
			hint: "add an SLO, as in slos: [p95 < 200ms]",
		})
	}
	for _, st := range f.spec.Stages {
		if st.ForMax > 0 && promised && !f.waits(st) {
			out = append(out, doubt{
				pos: st.Pos,
				msg: fmt.Sprintf("%s will hold for %s, never for %s: nothing on it takes longer to decide",
					st.Name, spec.FormatDuration(st.For), spec.FormatDuration(st.ForMax)),
				hint: "write for: " + spec.FormatDuration(st.For),
			})
		}
	}
	return out
}

// waits reports whether a promise on the stage takes time to be decided.
// Without confidence, what was observed decides at the first look.
func (f *foresight) waits(st *spec.Stage) bool {
	for _, pr := range f.prospects {
		if pr.scope.stage == st && !pr.Advisory && !pr.Objective.OfBaseline && !f.spec.Confidence.Off {
			return true
		}
	}
	return false
}

// title names a promise, and its stage where it does not name one itself.
func (pr *prospect) title() string {
	if o := &pr.Objective; pr.Stage == "" || o.During != "" || o.After != "" || o.OverRun() {
		return o.Text
	}
	return pr.Objective.Text + " on " + pr.Stage
}

// position finds an objective in the spec's file.
func position(s *spec.Spec, o slo.Objective) spec.Pos {
	for _, promise := range s.SLOs {
		if promise.Objective == o {
			return promise.Pos
		}
	}
	return spec.Pos{File: s.File, Line: 1, Col: 1}
}
