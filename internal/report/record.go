package report

import (
	"errors"
	"fmt"
	"math"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// Fingerprint is what two runs must have in common before their numbers say
// anything about each other.
type Fingerprint struct {
	// Spec is a digest of what decides which requests there are and who sends
	// them; see spec.Spec.Traffic.
	Spec      string   `json:"spec"`
	Load      []string `json:"load"`      // who takes part, and each stage as it was to be kept
	Generator string   `json:"generator"` // version of the runner
	Topology  string   `json:"topology"`  // driver, loops and machines
	Data      string   `json:"data"`      // digest of the rows that were seeded, "" for none
}

// Record is what a stored run can be judged by again: counters at the limits
// that were promised, and the whole run second by second.
type Record struct {
	Timeout  float64         `json:"timeout"` // seconds
	Steps    []Step          `json:"steps"`
	Phases   []measure.Phase `json:"phases"`
	Counters []Counter       `json:"counters"` // of every claim, guards that had nothing to say included
	// Claims are those of the verdict, in its order, and Confidence is that of
	// each by itself: 0 where point estimates decide.
	Claims     []Claim `json:"claims"`
	Confidence float64 `json:"confidence"`
	// Log is that of the snapshot (see measure.ReadLog), in the order of Rows.
	Log []byte `json:"log"`
	// Invalid says why the run may not be judged at all.
	Invalid []string `json:"invalid"`
}

// Step is a place in a persona's work that sends a request. Its row is said
// outright, because masking may have given two rows one name.
type Step struct {
	measure.Step
	Row int `json:"row"` // index into Document.Rows
}

// Counter is the exact counter of one claim, second by second from the start
// of its scope.
type Counter struct {
	SLO    string   `json:"slo"` // in canonical form: slo.Parse reads it
	Stage  string   `json:"stage"`
	Guard  bool     `json:"guard"`
	Series []int    `json:"series"` // in its scope: phase × number of steps + step; ascending
	N      []uint64 `json:"n"`
	Bad    []uint64 `json:"bad"`
	Sum    []uint64 `json:"sum"` // ns of means, or bytes; else empty
	Max    []int64  `json:"max"` // ns of maxima, -1 for a failure; else empty
	Lost   uint64   `json:"lost"`
}

// failedMax is a maximum that a failure is part of.
const failedMax = -1

// record returns what of a snapshot is stored for later judgements.
func record(s *measure.Snapshot, invalid []string) Record {
	l := s.Layout
	r := Record{
		Timeout:  time.Duration(l.Timeout).Seconds(),
		Steps:    []Step{},
		Phases:   append([]measure.Phase{}, l.Phases...),
		Counters: []Counter{},
		Log:      s.Log, // which nobody changes
		Invalid:  list(invalid),
	}
	if r.Log == nil {
		r.Log = []byte{}
	}
	_, rowOf := measure.RowsOf(l.Steps)
	for i, step := range l.Steps {
		r.Steps = append(r.Steps, Step{step, rowOf[i]})
	}
	for i := range l.Claims {
		claim := &l.Claims[i]
		c := Counter{
			SLO: claim.Objective.String(), Stage: claim.Stage, Guard: claim.Guard, Series: append([]int{}, l.SeriesOf(i)...),
			N: []uint64{}, Bad: []uint64{}, Sum: []uint64{}, Max: []int64{}, Lost: s.Claims[i].Lost,
		}
		basis := claim.Objective.Metric.Judged()
		for _, slot := range s.Claims[i].Slots {
			c.N, c.Bad = append(c.N, slot.N), append(c.Bad, slot.Bad)
			switch basis {
			case slo.BySum:
				c.Sum = append(c.Sum, slot.Sum)
			case slo.ByMax:
				if slot.Max == math.MaxInt64 {
					slot.Max = failedMax
				}
				c.Max = append(c.Max, slot.Max)
			}
		}
		r.Counters = append(r.Counters, c)
	}
	return r
}

// Counts returns the counter in the form that evidence is made from.
func (c *Counter) Counts() measure.ClaimCount {
	out := measure.ClaimCount{Lost: c.Lost, Slots: make([]measure.SlotCount, len(c.N))}
	for i := range out.Slots {
		slot := measure.SlotCount{N: c.N[i], Bad: c.Bad[i]}
		if len(c.Sum) > 0 {
			slot.Sum = c.Sum[i]
		}
		if len(c.Max) > 0 {
			slot.Max = c.Max[i]
			if slot.Max == failedMax {
				slot.Max = math.MaxInt64
			}
		}
		out.Slots[i] = slot
	}
	return out
}

// check reports what makes a record unusable, or contradict the rows.
func (r *Record) check(rows []Row) error {
	for _, s := range r.Steps {
		if s.Row < 0 || s.Row >= len(rows) {
			return fmt.Errorf("step %q is of row %d, and there are %d", s.Name, s.Row, len(rows))
		}
	}
	moments, err := measure.ReadLog(r.Log, len(rows))
	if err != nil {
		return err
	}
	seen := make([]Row, len(rows))
	for i := range moments {
		m := &moments[i]
		row := &seen[m.Row]
		row.Requests += m.Requests
		row.Failures += m.Failures
		row.NotIssued += m.NotIssued
		row.OK += m.Response.Count
	}
	for i := range seen {
		a, b := &seen[i], &rows[i]
		if a.Requests != b.Requests || a.Failures != b.Failures || a.NotIssued != b.NotIssued || a.OK != b.OK {
			return fmt.Errorf("row %q: the log of seconds counts %d requests, %d of them good and %d failed, and the row %d, %d and %d",
				b.Name, a.Requests, a.OK, a.Failures, b.Requests, b.OK, b.Failures)
		}
	}
	for i := range r.Counters {
		c := &r.Counters[i]
		if err := c.check(len(r.Phases) * len(r.Steps)); err != nil {
			return fmt.Errorf("counter of %q: %w", c.SLO, err)
		}
	}
	return nil
}

func (c *Counter) check(series int) error {
	last := -1
	for _, s := range c.Series {
		if s <= last || s >= series {
			return fmt.Errorf("series %d out of order or range", s)
		}
		last = s
	}
	columns := func(n int) bool { return n == 0 || n == len(c.N) }
	if len(c.Bad) != len(c.N) || !columns(len(c.Sum)) || !columns(len(c.Max)) {
		return errors.New("columns of different lengths")
	}
	for i, n := range c.N {
		if c.Bad[i] > n {
			return fmt.Errorf("%d bad of %d in second %d", c.Bad[i], n, i)
		}
	}
	return nil
}

// Regated says that a document was judged after its run, by promises that it
// was not run with.
type Regated struct {
	Spec      Source   `json:"spec"`      // whose promises they are
	Overrides []string `json:"overrides"` // what the command line changed in it, as typed
	Generator string   `json:"generator"` // version of the runner that judged
}

// Regating is a later judgement of a stored run.
type Regating struct {
	Spec      *spec.Spec // whose promises they are
	Overrides []string
	Judgement slo.Judgement
	Claims    []slo.Claim
	Evidence  []slo.Evidence
	Options   slo.Options
	ExitCode  int
	ExitName  string
	Reasons   []string
	Generator string
}

// Regate returns the document of a stored run as it is judged by other
// promises, and leaves d as it is. What was seen stays, what was decided is
// new, and every rendering says so.
func Regate(d *Document, r Regating) *Document {
	judged := Document{
		Name:     d.Name,
		Overall:  OverallOf(r.Judgement.Overall, r.ExitCode, d.Complete),
		ExitCode: r.ExitCode,
		ExitName: ExitName(r.ExitName),
		Reasons:  list(r.Reasons),
		Method:   r.Judgement.Method,
		SLOs:     slos(r.Judgement.Results),
		Regated:  &Regated{Spec: source(r.Spec), Overrides: list(r.Overrides), Generator: r.Generator},
	}
	judged.Record.judged(Judging{r.Judgement, r.Claims, r.Evidence, r.Options})
	editStrings(&judged, false, NewMask(r.Spec.Secrets).text)
	out := *d
	out.Record.Claims, out.Record.Confidence = judged.Record.Claims, judged.Record.Confidence
	out.Overall, out.ExitCode, out.ExitName, out.Reasons = judged.Overall, judged.ExitCode, judged.ExitName, judged.Reasons
	out.Method, out.SLOs, out.Regated = judged.Method, judged.SLOs, judged.Regated
	return &out
}

func source(s *spec.Spec) Source {
	return Source{File: s.File, Digest: s.Digest, Version: s.Version, Profile: s.Profile}
}
