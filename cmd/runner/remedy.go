package main

import (
	"cmp"
	"math"
	"strings"
	"time"

	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// remedy says which length, or which level, would give a promise the requests
// and the time that it needs.
func (f *foresight) remedy(pr *prospect) string {
	st, want := pr.scope.stage, max(pr.floor, 1)
	switch {
	case pr.Setup:
		return "raise the level: set-up happens once for each user"
	case st == nil || pr.expected == 0:
		return "raise the level"
	}
	level := ""
	if pr.expected < want {
		if level = f.level(pr, want); level == "" && pr.Objective.Window() > 0 {
			return "raise the level, or write longer windows"
		}
	} else if pr.scope.seconds >= pr.shortest {
		return ""
	}
	if pr.Objective.Window() > 0 && pr.floor > 0 {
		return f.longerWindows(pr) + "hold " + level
	}
	var ways []string
	if hold := f.longerHold(pr, want); hold != "" {
		ways = append(ways, hold)
	}
	if level != "" && pr.scope.seconds >= pr.shortest { // no level makes up for time
		ways = append(ways, level)
	}
	if len(ways) == 0 {
		return "raise the level"
	}
	return "hold " + strings.Join(ways, ", or ")
}

// longerWindows says which windows would have enough requests, "" if those
// would be longer than the stage or the time of a recovery.
func (f *foresight) longerWindows(pr *prospect) string {
	o := &pr.Objective
	window := roundUp(seconds(o.Window().Seconds() * pr.floor / pr.expected))
	if window.Seconds() > pr.scope.seconds || o.After != "" && window > o.Within {
		return ""
	}
	return "write every " + spec.FormatDuration(window) + ", or "
}

// longerHold says how long the stage must hold, "" if that is beyond reason.
func (f *foresight) longerHold(pr *prospect, want float64) string {
	const most = 1000 * time.Hour
	st, rate := pr.scope.stage, pr.expected/pr.scope.seconds
	more := max(want/rate, pr.shortest) - pr.scope.seconds // seconds
	switch {
	case more > most.Seconds():
		return ""
	case st.Shape == spec.Steps:
		return "each step at least " + spec.FormatDuration(roundUp(seconds(st.Every.Seconds()*(1+more/pr.scope.seconds))))
	case st.ForMax == 0:
		return "at least " + spec.FormatDuration(roundUp(st.For+seconds(more)))
	}
	// Where the hold is longer than its least, more looks share the error, and
	// each takes a little more.
	hold := st.ForMax
	for range 8 {
		hold = roundUp(hold + seconds(more))
		looks := slo.Looks(st.For, hold, f.spec.Confidence.Level)
		requests, _ := slo.Need(pr.Objective, rate, looks[len(looks)-1].Confidence)
		sees := rate * (pr.scope.seconds + (hold - st.ForMax).Seconds())
		if more = (requests - sees) / rate; more <= 0 {
			break
		}
	}
	return "up to " + spec.FormatDuration(hold)
}

// level returns the level of a stage at which a promise sees as many requests
// as it wants, "" if there is none to be named. More users make more requests,
// but not in exact proportion: few of them cannot be dealt by weight exactly.
// So a guess is tried, and corrected.
func (f *foresight) level(pr *prospect, want float64) string {
	st := pr.scope.stage
	if st.Level.ByPersona != nil || st.Shape != spec.Steady && st.Shape != spec.Spike {
		return ""
	}
	now := cmp.Or(st.Level.Rate, float64(st.Level.Users))
	guess := math.Ceil(now * want / pr.expected)
	for range 8 {
		o := spec.Override{Stages: []string{st.Name}}
		text := "at least " + rateText(guess)
		if st.Level.Open {
			o.Rate = &guess
		} else {
			users := int(guess)
			o.Users = &users
			text = "at least " + counted(users, "user")
		}
		s, faults := f.spec.With(o)
		if faults != nil {
			return ""
		}
		sees := f.sees(s, &pr.scope, f.latency)
		if sees >= want {
			return text
		}
		if sees == 0 {
			return ""
		}
		guess = math.Ceil(max(guess+1, guess*want/sees))
	}
	return ""
}

// roundUp rounds a length up to one that people write.
func roundUp(d time.Duration) time.Duration {
	unit := time.Second
	switch {
	case d > time.Hour:
		unit = time.Minute
	case d > 10*time.Minute:
		unit = 30 * time.Second
	case d > 2*time.Minute:
		unit = 10 * time.Second
	case d > 30*time.Second:
		unit = 5 * time.Second
	}
	return (d + unit - 1) / unit * unit
}
