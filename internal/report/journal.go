package report

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

// JournalName is the file of a result folder in which a run that is under way
// keeps what it has measured. It is gone when the result is there.
const JournalName = "run.journal"

// journalVersion is the version of the journal's format. Only the runner that
// began a run is asked to read what it left.
const journalVersion = 1

// A journal is a magic line and then records, each with its length and a
// checksum of what it holds; a checksum of these two comes first, so that a
// damaged length is not taken for the end of the file. The first record is the
// header, and each further one what was measured since the record before.
//
//	checksum of the next 8 bytes, length, checksum of the payload: uint32 each
//	payload: packed by flate
const (
	journalMagic = "tollgate journal 1\n"
	recordHead   = 12
	// mostRecord is beyond any second: what claims to be longer is damaged.
	mostRecord = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journalHeader says whose journal it is, and all that is known of a run before
// it begins.
type journalHeader struct {
	Version  int       `json:"journal"`
	Spec     string    `json:"spec_digest"`
	RunID    string    `json:"run_id"`
	Tightest float64   `json:"tightest"` // latency limit, for measure.Validity
	Document *Document `json:"document"` // in which nothing has been measured
}

// Course is what a run has been through, beside its samples.
type Course struct {
	At      float64          `json:"at"`                // seconds since the start of the run
	Started Stamp            `json:"started,omitempty"` // these are told when they change
	Spans   []Span           `json:"spans,omitempty"`   // all so far
	Users   []Users          `json:"users,omitempty"`   // since the record before
	Health  []measure.Health `json:"health,omitempty"`  // since the record before

	Readings []measure.Readings `json:"-"`                // of probes, all so far
	Probes   []Probe            `json:"probes,omitempty"` // those of them since the record before

	Broke map[string]float64 `json:"broke,omitempty"` // all so far
	Looks map[string]float64 `json:"looks,omitempty"` // all so far
}

// Journal writes the records of one run. NewJournal makes one.
type Journal struct {
	conceal *Mask
	pack    *flate.Writer
	packed  bytes.Buffer
	last    []*measure.Copy // by loop
	spans   []byte          // as they were told
	read    []int           // by probe: readings that were told
	begun   bool
}

// NewJournal returns the writer of a run's journal and its first bytes: run is
// the run as it is before it begins, with the claims that it will be judged by,
// and tightest the least latency limit, in seconds. No secret of the spec is in
// it, nor in what Second returns.
func NewJournal(run Run, tightest float64) (*Journal, []byte, error) {
	pack, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{conceal: NewMask(run.Spec.Secrets), pack: pack}
	for _, c := range run.Claims { // as they were written, and where
		run.Judgement.Results = append(run.Judgement.Results, slo.Result{Claim: c, Verdict: slo.NoData})
	}
	d := Build(run)
	head, err := json.Marshal(journalHeader{
		Version: journalVersion, Spec: d.Spec.Digest, RunID: d.Generator.RunID, Tightest: tightest, Document: d,
	})
	if err != nil {
		return nil, nil, err
	}
	return j, j.record([]byte(journalMagic), head), nil
}

// Second returns the record of what was measured since the one before. It may
// change the spans of c.
func (j *Journal) Second(c Course, copies []*measure.Copy) ([]byte, error) {
	if j.begun {
		c.Started = ""
	}
	c.Probes = j.unread(probes(c.Readings))
	c.Readings = nil
	editStrings(&c, false, j.conceal.text)
	c.Broke, c.Looks = j.masked(c.Broke), j.masked(c.Looks)
	spans, err := json.Marshal(c.Spans)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(spans, j.spans) {
		c.Spans = nil
	}
	j.spans, j.begun = spans, true
	course, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	payload := binary.AppendUvarint(nil, uint64(len(course)))
	payload = append(payload, course...)
	if len(j.last) != len(copies) {
		j.last = make([]*measure.Copy, len(copies))
	}
	for i, now := range copies {
		payload = now.AppendDelta(payload, j.last[i], j.conceal.text)
		j.last[i] = now
	}
	return j.record(nil, payload), nil
}

// unread returns what of all readings was not told yet.
func (j *Journal) unread(all []Probe) []Probe {
	if len(j.read) != len(all) {
		j.read = make([]int, len(all))
	}
	for i := range all {
		p := &all[i]
		told := min(j.read[i], len(p.At))
		j.read[i] = len(p.At)
		p.At, p.Value, p.Why = p.At[told:], p.Value[told:], p.Why[told:]
	}
	return all
}

// masked conceals the names of stages.
func (j *Journal) masked(by map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for name, v := range by {
		out[j.conceal.text(name)] = v
	}
	return out
}

// record appends a record to dst.
func (j *Journal) record(dst, payload []byte) []byte {
	j.packed.Reset()
	j.pack.Reset(&j.packed)
	_, _ = j.pack.Write(payload) // a buffer takes everything
	_ = j.pack.Close()
	var head [recordHead]byte
	binary.LittleEndian.PutUint32(head[4:], uint32(j.packed.Len()))
	binary.LittleEndian.PutUint32(head[8:], crc32.Checksum(j.packed.Bytes(), castagnoli))
	binary.LittleEndian.PutUint32(head[:], crc32.Checksum(head[4:], castagnoli))
	return append(append(dst, head[:]...), j.packed.Bytes()...)
}

// Recovered is a run as its journal tells it.
type Recovered struct {
	Document *Document // with all that was measured, and nothing judged
	Looks    map[string]float64
	Damage   string // what of the journal could not be read, "" for nothing
	Invalid  []string
}

// ErrNothingMeasured is the error of a journal that ends before its first second.
var ErrNothingMeasured = errors.New("nothing was measured yet when the run ended")

// JournalOf returns whose journal it is: the id of its run, and whether it holds
// anything that was measured.
func JournalOf(journal []byte) (runID string, measured bool) {
	r := journalReader{rest: journal}
	head, err := r.header()
	if err != nil {
		return "", false
	}
	payload, _ := r.next()
	return head.RunID, payload != nil
}

// Recover reads the journal of a run that came to no end of its own. What was
// being written when it ended is dropped: at most a second of the run. Where a
// record before that is damaged, the run is recovered up to it, and Damage says
// so: what follows rests on what is lost.
func Recover(journal []byte) (*Recovered, error) {
	r := journalReader{rest: journal}
	head, err := r.header()
	if err != nil {
		return nil, err
	}
	d := head.Document
	layout := layoutOf(&d.Record, d.ProbeNames())
	replay := measure.NewReplay(layout)
	out := &Recovered{Document: d}
	var spans []Span
	var users []Users
	var seconds []measure.Health
	broke := map[string]float64{}
	for n := 0; ; n++ {
		payload, damage := r.next()
		if payload == nil {
			out.Damage = damage
			if n == 0 && damage == "" {
				return nil, ErrNothingMeasured
			}
			break
		}
		c, err := readSecond(payload, replay, d.Generator.Loops)
		if err != nil {
			return nil, fmt.Errorf("second %d of the journal contradicts itself: %w", n+1, err)
		}
		d.Elapsed = c.At
		if c.Started != "" {
			d.Started = c.Started
		}
		if c.Spans != nil {
			spans = c.Spans
		}
		if len(c.Broke) > 0 {
			broke = c.Broke
		}
		out.Looks = c.Looks
		d.Probes = moreReadings(d.Probes, c.Probes)
		users, seconds = append(users, c.Users...), append(seconds, c.Health...)
	}
	s, err := replay.Cut()
	if err != nil {
		return nil, fmt.Errorf("the journal contradicts itself: %w", err)
	}
	spans = cutSpans(spans, d.Elapsed)
	out.Invalid = measure.Validity(s, seconds, head.Tightest)
	claims := d.Record.Claims
	d.Held, d.Stages = held(spans), stages(spans, broke)
	d.Users, d.Health = population(personasOf(d), users), health(seconds)
	d.record(s)
	steps := d.Record.Steps // which may be masked, and their rows are told apart
	d.Record = record(s, out.Invalid)
	d.Record.Steps, d.Record.Claims = steps, claims
	for _, row := range d.Rows {
		if row.Requests == 0 && row.NotIssued == 0 {
			d.Unreached = append(d.Unreached, row.Name)
		}
	}
	return out, nil
}

// Judged returns the document with its judgement: never a pass, and marked as
// incomplete.
func (r *Recovered) Judged(j Judging, exitCode int, exitName string, reasons []string) *Document {
	d := *r.Document
	d.Complete = false
	d.Overall = OverallOf(j.Judgement.Overall, exitCode, false)
	d.ExitCode, d.ExitName, d.Reasons = exitCode, ExitName(exitName), list(reasons)
	d.Method, d.SLOs = j.Judgement.Method, slos(j.Judgement.Results)
	d.Record.judged(j)
	return &d
}

// layoutOf makes the layout of a stored run.
func layoutOf(r *Record, names slo.Names) *measure.Layout {
	steps := make([]measure.Step, len(r.Steps))
	for i, s := range r.Steps {
		steps[i] = s.Step
		for k, other := range r.Steps[:i] { // masking has given two rows one name
			if other.Row != s.Row && steps[k].Name == steps[i].Name && other.Method == s.Method && other.Setup == s.Setup {
				steps[i].Name = fmt.Sprintf("%s (row %d)", s.Name, s.Row+1)
			}
		}
	}
	claims := make([]slo.Claim, len(r.Claims))
	for i := range r.Claims {
		claims[i], _ = r.Claims[i].Claim(names) // one that cannot be read counts nothing
	}
	l := measure.NewLayout(steps, r.Phases, claims)
	l.Timeout = int64(math.Round(r.Timeout * 1e9))
	return l
}

// moreReadings appends what probes have answered since.
func moreReadings(all, more []Probe) []Probe {
	if len(all) != len(more) {
		all = make([]Probe, len(more))
	}
	for i, m := range more {
		p := &all[i]
		p.Name, p.Counter = m.Name, m.Counter
		p.At, p.Value, p.Why = append(p.At, m.At...), append(p.Value, m.Value...), append(p.Why, m.Why...)
	}
	return all
}

func personasOf(d *Document) []string {
	var out []string
	for _, p := range d.Users.Personas {
		out = append(out, p.Persona)
	}
	return out
}

// cutSpans ends the course of a run at an instant.
func cutSpans(spans []Span, at float64) []Span {
	var out []Span
	for _, s := range spans {
		if s.Start >= at && len(out) > 0 {
			break
		}
		s.End = max(s.Start, min(s.End, at))
		out = append(out, s)
	}
	return out
}

// readSecond reads one record and adds what was measured.
func readSecond(payload []byte, replay *measure.Replay, loops int) (c Course, err error) {
	n, size := binary.Uvarint(payload)
	if size <= 0 || n > uint64(len(payload)-size) {
		return c, errors.New("it is too short")
	}
	payload = payload[size:]
	if err := json.Unmarshal(payload[:n], &c); err != nil {
		return c, err
	}
	rest := payload[n:]
	for range loops {
		if rest, err = replay.Add(rest); err != nil {
			return c, err
		}
	}
	if len(rest) > 0 {
		return c, errors.New("something follows")
	}
	return c, nil
}

type journalReader struct {
	rest []byte
	at   int // bytes read
}

func (r *journalReader) header() (head journalHeader, err error) {
	rest, ok := bytes.CutPrefix(r.rest, []byte(journalMagic))
	if !ok {
		if len(r.rest) < len(journalMagic) { // it ended while it was made
			return head, ErrNothingMeasured
		}
		return head, errors.New("not a journal, or one of another version of the runner")
	}
	r.rest, r.at = rest, len(journalMagic)
	payload, damage := r.next()
	switch {
	case damage != "":
		return head, errors.New("its header is damaged: " + damage)
	case payload == nil:
		return head, ErrNothingMeasured
	}
	if err := json.Unmarshal(payload, &head); err != nil {
		return head, fmt.Errorf("its header: %w", err)
	}
	if head.Version != journalVersion || head.Document == nil {
		return head, fmt.Errorf("a journal of version %d, and this runner reads version %d: use the runner that wrote it", head.Version, journalVersion)
	}
	return head, nil
}

// next returns the next record; nil at the end, or at what cannot be read. A
// record that is not whole at the very end was being written: that is no
// damage.
func (r *journalReader) next() (payload []byte, damage string) {
	zeros := len(bytes.Trim(r.rest, "\x00")) == 0
	if len(r.rest) < recordHead || zeros { // a file system may have made room that was not filled
		return nil, ""
	}
	head := r.rest[:recordHead]
	broken := fmt.Sprintf("it is damaged at byte %d of %d", r.at, r.at+len(r.rest))
	size := binary.LittleEndian.Uint32(head[4:])
	if crc32.Checksum(head[4:], castagnoli) != binary.LittleEndian.Uint32(head) || size > mostRecord {
		return nil, broken
	}
	if uint64(size) > uint64(len(r.rest)-recordHead) {
		return nil, ""
	}
	body := r.rest[recordHead : recordHead+int(size)]
	last := len(r.rest) == recordHead+int(size)
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[8:]) {
		if last {
			return nil, ""
		}
		return nil, broken
	}
	payload, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(body)), mostRecord))
	if err != nil {
		return nil, broken
	}
	r.rest, r.at = r.rest[recordHead+int(size):], r.at+recordHead+int(size)
	return payload, ""
}
