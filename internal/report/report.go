// Package report is what a run leaves behind for people and programs: one
// versioned document, and renderings of it that are pure functions of the
// document alone. It judges nothing and measures nothing.
package report

import (
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// Run is everything that a document is made from.
type Run struct {
	Spec      *spec.Spec
	Snapshot  *measure.Snapshot
	Judgement slo.Judgement
	Claims    []slo.Claim    // that were judged
	Evidence  []slo.Evidence // for each claim
	Options   slo.Options    // of the judgement
	Spans     []Span
	Users     []Users
	Probes    []measure.Readings
	Health    []measure.Health   // of the generator, second by second
	Unreached []string           // rows that sent nothing
	Broke     map[string]float64 // by steps stage: the level that did not hold
	Overrides []string           // what the command line changed, as it would be typed
	Started   time.Time
	Elapsed   time.Duration
	Complete  bool // the plan ran to its end
	ExitCode  int
	ExitName  string   // the code's name: pass, breach, inconclusive, ...
	Reasons   []string // why the verdict is what it is, most important first
	Generator Generator
	// Fingerprint is what another run must have in common with this one to be
	// compared with it.
	Fingerprint Fingerprint
	Invalid     []string // why the run may not be judged at all
	Data        *Data    // nil: no database was prepared
	Commit      string   // Git commit around the spec, "" if unknown
	Baseline    string   // the stored run that it is compared with, as named; "" for none
}

// Span is a stretch of the run on which one phase held, in seconds since its start.
type Span struct {
	Stage  string  `json:"stage"`
	Shape  string  `json:"shape"`
	Moving bool    `json:"moving"` // ramps and waits: not judged
	Level  float64 `json:"level"`  // users, or arrivals per second, at its end
	Open   bool    `json:"open"`   // Level is arrivals per second
	Start  float64 `json:"start"`
	End    float64 `json:"end"`
	Back   bool    `json:"back"`  // the way back from a peak
	Drain  bool    `json:"drain"` // after the plan: only what had begun is finished
}

// Users is how many users of each persona were active at one moment.
type Users struct {
	At     float64 `json:"at"` // seconds since the start of the run
	Active []int   `json:"active"`
}

// Generator says what made the load.
type Generator struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Cores   int    `json:"cores"`
	Driver  string `json:"driver"`
	Loops   int    `json:"loops"`
	Seed    uint64 `json:"seed"`
	RunID   string `json:"run_id"`
	Address string `json:"address"` // the resolved address of the target
}
