package measure

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits on what a target can make us keep.
const (
	maxMessages = 2000 // distinct
	maxMessage  = 1000 // characters
)

// Failure is how often requests of one row failed in one way.
type Failure struct {
	Row, Method string
	Setup       bool
	Outcome     Outcome
	Status      int    // only of an Outcome Status, else 0
	Message     string // may be empty; at most 1,000 characters
	// Overflow marks the sum of all messages of the row and outcome that were
	// not kept, because there were more than 2,000 distinct ones in the run.
	Overflow bool
	Count    uint64
}

// Text says in words what happened.
func (f *Failure) Text() string {
	switch {
	case f.Overflow:
		return f.Outcome.String() + ": other messages"
	case f.Message != "":
		return f.Message
	case f.Outcome == Status:
		return "status " + strconv.Itoa(f.Status)
	}
	return f.Outcome.String()
}

// failureKind is one way to fail. Its order among others is pseudo-random but
// the same everywhere, with message-less kinds first: when there are too many,
// the first maxMessages are kept. Every recorder's choice then contains its
// part of the merged choice, so the merged counts are exact, and the same
// however the failures were spread.
type failureKind struct {
	row     int
	outcome Outcome
	status  int
	message string
}

func (k *failureKind) hash() uint64 {
	if k.message == "" {
		return 0
	}
	h := uint64(14695981039346656037) // FNV-1a
	mix := func(b byte) { h = (h ^ uint64(b)) * 1099511628211 }
	for i := range len(k.message) {
		mix(k.message[i])
	}
	mix(byte(k.outcome))
	for i := range 4 {
		mix(byte(k.status >> (8 * i)))
		mix(byte(k.row >> (8 * i)))
	}
	return h
}

func (k *failureKind) compare(o *failureKind) int {
	return cmp.Or(cmp.Compare(k.row, o.row), cmp.Compare(k.outcome, o.outcome),
		cmp.Compare(k.status, o.status), strings.Compare(k.message, o.message))
}

type failureCount struct {
	hash uint64
	n    uint64
}

// failures counts by kind, in bounded memory.
type failures struct {
	kept     map[failureKind]*failureCount
	overflow map[failureKind]uint64 // without status and message
	last     failureKind            // of kept, once it is full
	added    uint64                 // calls of add: nothing changes without one
}

// add counts n failures. The message may be a borrowed slice of a buffer: it is
// copied when it is kept.
func (f *failures) add(k failureKind, n uint64) {
	k.message = capMessage(k.message)
	if k.outcome != Status {
		k.status = 0
	}
	f.added++
	if c := f.kept[k]; c != nil {
		c.n += n
		return
	}
	if f.kept == nil {
		f.kept = map[failureKind]*failureCount{}
	}
	hash := k.hash()
	if len(f.kept) >= maxMessages {
		last := f.kept[f.last]
		if cmp.Or(cmp.Compare(hash, last.hash), k.compare(&f.last)) > 0 {
			f.overflowed(k, n)
			return
		}
		f.overflowed(f.last, last.n)
		delete(f.kept, f.last)
	}
	k.message = strings.Clone(k.message)
	f.kept[k] = &failureCount{hash: hash, n: n}
	if len(f.kept) >= maxMessages {
		f.findLast()
	}
}

func (f *failures) overflowed(k failureKind, n uint64) {
	if f.overflow == nil {
		f.overflow = map[failureKind]uint64{}
	}
	f.overflow[failureKind{row: k.row, outcome: k.outcome}] += n
}

func (f *failures) findLast() {
	last := uint64(0)
	first := true
	for k, c := range f.kept {
		if first || cmp.Or(cmp.Compare(c.hash, last), k.compare(&f.last)) > 0 {
			f.last, last, first = k, c.hash, false
		}
	}
}

// list returns the failures, most frequent first.
func (f *failures) list(rows []rowKey) []Failure {
	var out []Failure
	for k, c := range f.kept {
		if c.n == 0 { // it was taken back: see Replay
			continue
		}
		out = append(out, Failure{
			Row: rows[k.row].name, Method: rows[k.row].method, Setup: rows[k.row].setup,
			Outcome: k.outcome, Status: k.status, Message: k.message, Count: c.n,
		})
	}
	for k, n := range f.overflow {
		if n == 0 {
			continue
		}
		out = append(out, Failure{
			Row: rows[k.row].name, Method: rows[k.row].method, Setup: rows[k.row].setup,
			Outcome: k.outcome, Overflow: true, Count: n,
		})
	}
	slices.SortFunc(out, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count),
			strings.Compare(a.Row, b.Row), strings.Compare(a.Method, b.Method), compareBool(a.Setup, b.Setup),
			cmp.Compare(a.Outcome, b.Outcome), compareBool(a.Overflow, b.Overflow),
			cmp.Compare(a.Status, b.Status), strings.Compare(a.Message, b.Message))
	})
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// capMessage cuts a message to maxMessage characters of valid UTF-8.
func capMessage(s string) string {
	if len(s) > maxMessage {
		n := 0
		for i := range s {
			if n == maxMessage {
				s = s[:i]
				break
			}
			n++
		}
	}
	if !utf8.ValidString(s) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}
