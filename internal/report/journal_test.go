package report

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

// journalled is a play as its journal tells it: a record for each of its first
// seconds.
func journalled(t testing.TB, secrets ...string) (journal []byte, ends []int, p *play) {
	t.Helper()
	p = newPlay(t, work, "p95 < 200ms", "errors <= 50%")
	p.run.Spec.Secrets = secrets
	before := p.run
	before.Snapshot = measure.NewRecorder(p.layout).Snapshot()
	before.Claims, before.Generator.Loops = p.layout.Claims, 1
	before.Spans, before.Users, before.Elapsed, before.Complete = nil, nil, 0, false
	w, journal, err := NewJournal(before, 0.2)
	if err != nil {
		t.Fatal(err)
	}
	ends = append(ends, len(journal))
	for second := range int64(8) {
		phase := []int{warm, warm, ramp, hold, hold, hold, hold, hold}[second]
		for i := range int64(20) {
			p.ok(phase, trigger, second*sec+i*ms, 50*ms+i*ms)
			p.ok(phase, board, second*sec+i*ms, 10*ms)
		}
		p.rec.Failure(trigger, measure.Check, 0, "the token s3cr3t-of-ours is refused")
		p.record(phase, trigger, &measure.Sample{Due: second*sec + 1, Sent: second*sec + 2, First: second*sec + 3, Done: second*sec + ms, Outcome: measure.Check})
		p.rec.Planned(phase, board, 1) // in flight
		p.rec.Issued(phase, board)
		record, err := w.Second(Course{
			At: float64(second) + 1.01, Started: StampOf(p.run.Started), Spans: append([]Span{}, p.run.Spans...),
			Users: []Users{{At: float64(second) + 1, Active: []int{12, 8}}}, Health: []measure.Health{{At: (second + 1) * sec, Judged: true}},
		}, []*measure.Copy{p.rec.Copy()})
		if err != nil {
			t.Fatal(err)
		}
		journal = append(journal, record...)
		ends = append(ends, len(journal))
	}
	return journal, ends, p
}

func TestWhateverIsLeftOfAJournalIsRecovered(t *testing.T) {
	journal, ends, _ := journalled(t)
	for n := range len(journal) + 1 {
		if n%11 != 0 && !slices.ContainsFunc(ends, func(end int) bool { return n >= end-2 && n <= end+13 }) {
			continue
		}
		whole := -1 // records, the header left out
		for _, end := range ends {
			if n >= end {
				whole++
			}
		}
		for _, rest := range [][]byte{nil, make([]byte, 3), make([]byte, 4096)} { // room that was never filled
			if n != len(journal) && len(rest) > 0 && n%17 != 0 {
				continue
			}
			r, err := Recover(append(append([]byte{}, journal[:n]...), rest...))
			switch {
			case len(rest) > 0 && n < ends[0] || len(rest) > 0 && n != ends[max(whole, 0)]:
				continue // zeros in a record: see the test of damage
			case whole < 1:
				if !errors.Is(err, ErrNothingMeasured) {
					t.Fatalf("%d bytes: %v", n, err)
				}
				continue
			case err != nil || r.Damage != "":
				t.Fatalf("%d bytes: %v, %v", n, err, r)
			}
			if got := r.Document.Accounting; got.OK != uint64(whole*40) || got.Failed != uint64(whole) || got.Lost != uint64(whole) || !got.Balanced {
				t.Fatalf("%d bytes, %d seconds: %+v", n, whole, got)
			}
			if r.Document.Elapsed != float64(whole)+0.01 {
				t.Fatalf("%d seconds: %v", whole, r.Document.Elapsed)
			}
		}
	}
}

func TestDamageInTheMiddleOfAJournalIsSaid(t *testing.T) {
	journal, ends, _ := journalled(t)
	for at := range journal {
		if at%5 != 0 && !slices.ContainsFunc(ends, func(end int) bool { return at >= end && at < end+recordHead }) {
			continue
		}
		record := 0 // in which it lies; 0 is the header
		for record < len(ends) && at >= ends[record] {
			record++
		}
		edited := append([]byte{}, journal...)
		edited[at] ^= 0x10
		r, err := Recover(edited)
		switch {
		case record == 0:
			if err == nil {
				t.Fatalf("byte %d of the header: nobody objects", at)
			}
		case record == len(ends)-1 && err == nil && r.Document.Accounting.OK == 7*40: // it may have been torn
		case record == 1 && err == nil && r.Damage != "" && r.Document.Accounting.OK == 0:
		case err != nil || r.Damage == "" || r.Document.Accounting.OK != uint64((record-1)*40):
			t.Fatalf("byte %d of record %d: %v", at, record, err)
		}
	}
}

func TestRecoveredResultIsAWholeOne(t *testing.T) {
	journal, _, p := journalled(t)
	r, err := Recover(journal)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Judged(Judging{Judgement: slo.Judge(nil, nil, slo.Options{})}, 9, "interrupted", []string{"killed"})
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Complete || got.Overall == slo.OverallPass || got.ExitCode != 9 {
		t.Errorf("complete %v, %v, exit code %d", got.Complete, got.Overall, got.ExitCode)
	}
	if got.Started != StampOf(p.run.Started) || got.Held != 8.01-3 || len(got.Stages) != 2 || len(got.Users.At) != 8 {
		t.Errorf("started %v, held %v, stages %v, users %v", got.Started, got.Held, got.Stages, got.Users)
	}
	whole := Build(p.finished())
	for i := range whole.Rows {
		a, b := whole.Rows[i], got.Rows[i]
		if a.Name != b.Name || a.OK != b.OK || a.Failures != b.Failures || a.BytesIn != b.BytesIn ||
			a.Histograms.Success.MaxNS != b.Histograms.Success.MaxNS || a.Histograms.Service.SumNS != b.Histograms.Service.SumNS {
			t.Errorf("row %+v, recovered %+v", a, b)
		}
	}
	if string(whole.Record.Log) != string(got.Record.Log) {
		t.Error("the log of seconds is another")
	}
}

// finished is the run of a play as it stands.
func (p *play) finished() Run {
	r := p.run
	r.Snapshot = p.rec.Snapshot()
	return r
}

func TestSecretsDoNotReachAJournal(t *testing.T) {
	const secret = "s3cr3t-of-ours"
	journal, _, _ := journalled(t, secret)
	r := journalReader{rest: journal[len(journalMagic):]}
	n := 0
	for payload, _ := r.next(); payload != nil; payload, _ = r.next() {
		n++
		if bytes.Contains(payload, []byte(secret)) {
			t.Fatalf("record %d holds a secret", n)
		}
		if n > 1 && !strings.Contains(string(payload), "the token *** is refused") && n < 3 {
			t.Errorf("record %d: %q", n, payload)
		}
	}
	if n != 9 {
		t.Errorf("%d records", n)
	}
}

// An hour at a hundred requests a second leaves some megabytes.
func TestJournalStaysSmall(t *testing.T) {
	_, head, err := NewJournal(Run{Spec: newPlay(t, work).run.Spec}, 0)
	if err != nil {
		t.Fatal(err)
	}
	journal, _, _ := journalled(t)
	if each := (len(journal) - len(head)) / (8 * 42); each > 12 {
		t.Errorf("%d bytes for each request", each)
	}
}

// Foreign bytes are refused, or make a document that renders.
func FuzzRecover(f *testing.F) {
	journal, ends, _ := journalled(f)
	f.Add(journal)
	f.Add(journal[:ends[2]+5])
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Recover(data)
		if err != nil {
			return
		}
		d := r.Judged(Judging{Judgement: slo.Judge(nil, nil, slo.Options{})}, 9, "interrupted", nil)
		if d.Complete || d.Overall == slo.OverallPass {
			t.Fatal("complete, or a pass")
		}
		d.Markdown()
	})
}
