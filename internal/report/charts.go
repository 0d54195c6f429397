package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

// Bounds of what report.html draws, so that a page of a ten-hour run is as
// quick as one of a minute.
const (
	maxBins     = 600 // points of a line over time
	maxColumns  = 300 // of the heat map,
	maxBands    = 40  // and its rows
	maxDetailed = 24  // rows with lines of their own: those with the most requests
	maxFailing  = 6   // lines of failures
	maxProbes   = 24
)

// charts is the data of the pictures in report.html, as its script reads it.
// Times are seconds since the start of the run. All lines over time share the
// bins: bin i is [i*Width, (i+1)*Width).
type charts struct {
	Started  Stamp       `json:"started"`
	Elapsed  amount      `json:"elapsed"`
	Width    amount      `json:"width"`
	Bins     int         `json:"bins"`
	Stages   []stretch   `json:"stages"`
	Lines    []binned    `json:"lines"`  // all requests first
	Limits   []limit     `json:"limits"` // of latencies
	Arrivals [][2]amount `json:"arrivals"`
	Level    [][2]amount `json:"level"`
	Users    []line      `json:"users"`
	Heat     heat        `json:"heat"`
	Failing  []line      `json:"failing"`
	Health   []line      `json:"health"` // cpu, steal, throttled, lag p99, gc pause
	Probes   []probed    `json:"probes"`
}

// amount is a number to four digits: null where it is missing, -1 where it is
// beyond all others.
type amount float64

var beyond = amount(-1)

func (a amount) MarshalJSON() ([]byte, error) {
	if v := float64(a); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(a), 'g', 4, 64), nil
}

// atSecond is a time that is kept to the millisecond.
func atSecond(v float64) json.RawMessage {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return json.RawMessage("null")
	}
	return strconv.AppendFloat(nil, math.Round(v*1e3)/1e3, 'f', -1, 64)
}

// stretch is a part of a stage.
type stretch struct {
	Name   string          `json:"name"`
	Kind   string          `json:"kind"` // hold, move, warmup, pause, drain
	Judged bool            `json:"judged"`
	From   json.RawMessage `json:"from"`
	To     json.RawMessage `json:"to"`
}

// binned is what requests of a row did over time. Rates are means of a bin,
// P50 is its median second, P95 and P99 are its worst second with a finite
// value, and Beyond counts the seconds of each quantile that have none.
type binned struct {
	Name      string   `json:"name"`
	Rate      []amount `json:"rate"`
	Failed    []amount `json:"failed"`
	NotIssued []amount `json:"not_issued"`
	P50       []amount `json:"p50"`
	P95       []amount `json:"p95"`
	P99       []amount `json:"p99"`
	Beyond    beyonds  `json:"beyond"`
	Curve     []curve  `json:"curve"` // response, service
}

// beyonds are counts by bin, empty where all are zero.
type beyonds struct {
	P50 []int `json:"p50"`
	P95 []int `json:"p95"`
	P99 []int `json:"p99"`
}

// curve is a distribution by quantiles: X is -log10(1-q).
type curve struct {
	Name string   `json:"name"`
	X    []amount `json:"x"`
	Y    []amount `json:"y"`
}

// line is a named line over the bins.
type line struct {
	Name   string   `json:"name"`
	Values []amount `json:"values"`
}

// probed is what a probe read: the value that held last, or of a counter its
// rise per second from one reading to the next.
type probed struct {
	Name    string   `json:"name"`
	Counter bool     `json:"counter"`
	Values  []amount `json:"values"`
}

// limit is a promised latency, drawn where it holds.
type limit struct {
	Lines  []int           `json:"lines"` // whose charts it belongs to
	Label  string          `json:"label"`
	Metric string          `json:"metric"`
	Value  amount          `json:"value"`
	Failed bool            `json:"failed"`
	From   json.RawMessage `json:"from"`
	To     json.RawMessage `json:"to"`
}

// heat is how many requests took how long when: column i is [i*Width,
// (i+1)*Width), band k is [10^(Low+k*Step), 10^(Low+(k+1)*Step)) seconds.
type heat struct {
	Width   amount      `json:"width"`
	Columns int         `json:"columns"`
	Low     float64     `json:"low"`
	Step    float64     `json:"step"`
	Bands   int         `json:"bands"`
	Cells   [][3]uint64 `json:"cells"`  // column, band, requests
	Failed  []uint64    `json:"failed"` // by column: failed, or never sent
}

// nice are the widths in seconds that a bin may have.
var nice = []float64{1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 3600}

// binning returns the width and the number of at most so many bins.
func binning(elapsed float64, most int) (width float64, bins int) {
	elapsed = max(elapsed, 1)
	for _, width = range nice {
		if bins = int(math.Ceil(elapsed / width)); bins <= most {
			return width, bins
		}
	}
	width = math.Ceil(elapsed / float64(most))
	return width, int(math.Ceil(elapsed / width))
}

// lasted is how long the run was, as far as anything is known of it.
func (d *Document) lasted() float64 {
	const most = 10 * 365 * 24 * 3600
	end := d.Elapsed
	for i := range d.Timeline {
		// A second that had just begun is not a whole one.
		if s := d.Timeline[i].Second; len(s) > 0 && float64(s[len(s)-1]) >= end {
			end = float64(s[len(s)-1] + 1)
		}
	}
	return min(max(end, 0), most)
}

func (d *Document) charts() charts {
	length := d.lasted()
	width, bins := binning(length, maxBins)
	c := charts{
		Started: d.Started, Elapsed: amount(length), Width: amount(width), Bins: bins,
		Stages: []stretch{}, Lines: []binned{}, Limits: []limit{}, Arrivals: [][2]amount{}, Level: [][2]amount{},
		Users: []line{}, Failing: []line{}, Health: []line{},
	}
	shown := d.detailed()
	for _, i := range shown {
		row := &d.Total
		if i >= 0 {
			row = &d.Rows[i]
		}
		b := newBinned(d.seriesOf(i), length, width, bins)
		b.Name = row.heading()
		b.Curve = row.curves()
		c.Lines = append(c.Lines, b)
	}
	c.Stages = d.stretches()
	c.Limits = d.limits(shown)
	c.Arrivals, c.Level = d.levels(true), d.levels(false)
	c.Users = d.crowd(width, bins)
	c.Heat = d.heat(length)
	c.Failing = d.failing(length, width, bins)
	c.Health, c.Probes = d.pulse(width, bins), d.probed(width, bins)
	return c
}

// heading is the row's method and name.
func (r *Row) heading() string {
	if r.Name == "" && r.Method == "" {
		return "all requests"
	}
	if r.Method == "" {
		return r.title()
	}
	return r.Method + " " + r.title()
}

// detailed are the rows that have lines of their own, -1 for all together.
func (d *Document) detailed() []int {
	order := make([]int, len(d.Rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(d.Rows[b].Requests, d.Rows[a].Requests) })
	order = order[:min(len(order), maxDetailed)]
	slices.Sort(order)
	return append([]int{-1}, order...)
}

// seriesOf returns the seconds of a row, -1 for all together.
func (d *Document) seriesOf(row int) *Series {
	var key rowKey
	if row >= 0 {
		key = rowKey{d.Rows[row].Name, d.Rows[row].Method, d.Rows[row].Setup}
	}
	for i := range d.Timeline {
		if s := &d.Timeline[i]; (rowKey{s.Row, s.Method, s.Setup}) == key {
			return s
		}
	}
	return &Series{}
}

// missing returns n amounts that are not there.
func missing(n int) []amount {
	out := make([]amount, n)
	for i := range out {
		out[i] = amount(math.NaN())
	}
	return out
}

// covered is how many seconds of a bin the run lasted; 0 for less than half,
// of which no rate can be told.
func covered(i int, length, width float64) float64 {
	rest := min(length-float64(i)*width, width)
	if rest < width/2 {
		return 0
	}
	return rest
}

// rates turns counts by second into means by bin.
func rates(second []int64, counts []uint64, length, width float64, bins int) []amount {
	sums := make([]uint64, bins)
	for i, at := range second {
		if b := int(float64(at) / width); at >= 0 && b < bins {
			sums[b] += counts[i]
		}
	}
	out := missing(bins)
	for i, n := range sums {
		if rest := covered(i, length, width); rest > 0 {
			out[i] = amount(float64(n) / rest)
		}
	}
	return out
}

func newBinned(s *Series, length, width float64, bins int) binned {
	b := binned{
		Rate:      rates(s.Second, s.Requests, length, width, bins),
		Failed:    rates(s.Second, s.Failures, length, width, bins),
		NotIssued: rates(s.Second, s.NotIssued, length, width, bins),
		P50:       missing(bins), P95: missing(bins), P99: missing(bins),
	}
	over := [3][]int{make([]int, bins), make([]int, bins), make([]int, bins)}
	medians := make([][]Number, bins)
	worst := func(bin, quantile int, to []amount, v Number) {
		if !v.Known() {
			over[quantile][bin]++
		} else if now := float64(to[bin]); math.IsNaN(now) || float64(v) > now {
			to[bin] = amount(v)
		}
	}
	for i, at := range s.Second {
		bin := int(float64(at) / width)
		// Where nothing was sent there is no latency, and where too much failed
		// it is beyond all finite ones.
		if at < 0 || bin >= bins || !s.P50[i].Known() && s.Failures[i]+s.NotIssued[i] == 0 {
			continue
		}
		medians[bin] = append(medians[bin], s.P50[i])
		worst(bin, 1, b.P95, s.P95[i])
		worst(bin, 2, b.P99, s.P99[i])
	}
	for bin, m := range medians {
		if len(m) == 0 {
			continue
		}
		slices.SortFunc(m, func(x, y Number) int { // without a finite value last
			if x.Known() && y.Known() {
				return cmp.Compare(x, y)
			}
			return cmp.Compare(value(y.Known()), value(x.Known()))
		})
		if v := m[len(m)/2]; v.Known() {
			b.P50[bin] = amount(v)
		} else {
			over[0][bin]++
		}
	}
	for i, counts := range over {
		if !slices.ContainsFunc(counts, func(n int) bool { return n > 0 }) {
			over[i] = []int{}
		}
	}
	b.Beyond = beyonds{over[0], over[1], over[2]}
	return b
}

func value(known bool) int {
	if known {
		return 1
	}
	return 0
}

// curves are the distributions of both clocks, by quantiles.
func (r *Row) curves() []curve {
	out := []curve{}
	for _, c := range []struct {
		name string
		hist *Histogram
		of   *Latency
	}{{"response", &r.Histograms.Success, &r.Response}, {"service", &r.Histograms.Service, &r.Service}} {
		h := c.hist.Hist()
		if c.of.Count == 0 || c.of.Count < h.Count {
			continue
		}
		h.Inf = c.of.Count - h.Count
		line := curve{Name: c.name, X: []amount{}, Y: []amount{}}
		const step = 0.05
		last := min(math.Log10(float64(c.of.Count)), 7)
		for i := 0; float64(i)*step < last+step; i++ {
			x := min(float64(i)*step, last)
			y := h.Quantile(1 - math.Pow(10, -x))
			if math.IsInf(y, 1) || math.IsNaN(y) {
				y = float64(beyond)
			}
			line.X, line.Y = append(line.X, amount(x)), append(line.Y, amount(y))
		}
		out = append(out, line)
	}
	return out
}

// stretches are the parts of the stages; neighbours that differ in nothing are one.
func (d *Document) stretches() []stretch {
	out := []stretch{}
	for _, stage := range d.Stages {
		for i := range stage.Spans {
			s := &stage.Spans[i]
			kind := "hold"
			switch {
			case s.Drain:
				kind = "drain"
			case s.Moving:
				kind = "move"
			case s.Shape == "warmup" || s.Shape == "pause":
				kind = s.Shape
			}
			judged := s.phase().Judged()
			if n := len(out); n > 0 && out[n-1].Name == s.Stage && out[n-1].Kind == kind && out[n-1].Judged == judged && bytes.Equal(out[n-1].To, atSecond(s.Start)) {
				out[n-1].To = atSecond(s.End)
				continue
			}
			out = append(out, stretch{s.Stage, kind, judged, atSecond(s.Start), atSecond(s.End)})
		}
	}
	return out
}

// limits are the promises about latencies, where they hold.
func (d *Document) limits(shown []int) []limit {
	out := []limit{}
	for i := range d.SLOs {
		s := &d.SLOs[i]
		if s.Guard || s.Unit != "seconds" {
			continue
		}
		o, err := slo.Parse(s.Claim)
		if err != nil || o.OfBaseline || o.After != "" || o.Metric.Clock != slo.Response || o.Metric.Kind != slo.Quantile && o.Metric.Kind != slo.Max {
			continue
		}
		lines := []int{}
		for k, row := range shown {
			if row < 0 && o.Selector.Endpoint == "" && o.Selector.Persona == "" && o.Selector.Task == "" {
				lines = append(lines, k)
			}
			if row >= 0 && o.Selector.Endpoint != "" && d.selects(o.Selector, row) {
				lines = append(lines, k)
			}
		}
		for _, stage := range d.Stages {
			if s.Stage != "" && s.Stage != stage.Name {
				continue
			}
			from, to := math.Inf(1), math.Inf(-1)
			for k := range stage.Spans {
				if p := &stage.Spans[k]; !p.Moving && !p.Drain && (s.Stage != "" || p.phase().Judged()) {
					from, to = min(from, p.Start), max(to, p.End)
				}
			}
			if from < to && len(lines) > 0 {
				out = append(out, limit{
					Lines: lines, Label: s.Metric + " " + s.Op + " " + s.Limit, Metric: s.Metric, Value: amount(s.LimitValue),
					Failed: s.Verdict == slo.Fail, From: atSecond(from), To: atSecond(to),
				})
			}
		}
	}
	return out
}

// selects tells whether a promise is about a row.
func (d *Document) selects(s slo.Selector, row int) bool {
	for i := range d.Record.Steps {
		step := &d.Record.Steps[i]
		if step.Row == row && (!step.Setup || s.Task == step.Task) && slo.Matches(s, s.Stage, step.Persona, step.Task, step.Endpoint, step.Name) {
			return true
		}
	}
	return false
}

// levels is the planned load over time, as corners of a line: arrivals per
// second, or users.
func (d *Document) levels(open bool) [][2]amount {
	out := [][2]amount{}
	before := 0.0
	for _, stage := range d.Stages {
		for i := range stage.Spans {
			s := &stage.Spans[i]
			if s.Drain || s.Open != open || s.Shape == "pause" {
				before = 0
				continue
			}
			if !s.Moving {
				before = s.Level
			}
			out = append(out, [2]amount{amount(s.Start), amount(before)}, [2]amount{amount(s.End), amount(s.Level)})
			before = s.Level
		}
	}
	return out
}

// crowd is the active users of each persona: the last reading of each bin.
func (d *Document) crowd(width float64, bins int) []line {
	out := []line{}
	for _, p := range d.Users.Personas {
		values, some := missing(bins), false
		for i, at := range d.Users.At {
			if b := int(at / width); at >= 0 && b < bins {
				values[b], some = amount(p.Active[i]), some || p.Active[i] > 0
			}
		}
		for i := 1; i < bins; i++ { // readings come each second, but not at once
			if math.IsNaN(float64(values[i])) {
				values[i] = values[i-1]
			}
		}
		if some {
			out = append(out, line{p.Persona, values})
		}
	}
	return out
}

// heat counts the requests of the work by when they were due and how long they
// took.
func (d *Document) heat(length float64) heat {
	width, columns := binning(length, maxColumns)
	h := heat{Width: amount(width), Columns: columns, Cells: [][3]uint64{}, Failed: make([]uint64, columns)}
	least, most := math.Inf(1), 0.0
	each := func(f func(column int, took float64, n uint64)) {
		for m := range measure.Moments(d.Record.Log, len(d.Rows)) {
			column := int(float64(m.Second) / width)
			if d.Rows[m.Row].Setup || column >= columns {
				continue
			}
			for b := range m.Response.Buckets() {
				low, high := b.Bounds(true)
				f(column, math.Sqrt(max(low, 1e-6)*max(high, 1e-6)), b.Count)
			}
		}
	}
	each(func(_ int, took float64, _ uint64) { least, most = min(least, took), max(most, took) })
	for m := range measure.Moments(d.Record.Log, len(d.Rows)) {
		if column := int(float64(m.Second) / width); !d.Rows[m.Row].Setup && column < columns {
			h.Failed[column] += m.Failures + m.NotIssued
		}
	}
	if most == 0 {
		return h
	}
	for _, step := range []float64{0.025, 0.05, 0.1, 0.125, 0.25} {
		h.Step = step
		h.Low = math.Floor(math.Log10(least)/step) * step
		h.Bands = int(math.Floor((math.Log10(most)-h.Low)/step)) + 1
		if h.Bands <= maxBands {
			break
		}
	}
	h.Low = math.Round(h.Low*1e3) / 1e3
	cells := make([]uint64, columns*h.Bands)
	each(func(column int, took float64, n uint64) {
		band := int((math.Log10(took) - h.Low) / h.Step)
		cells[column*h.Bands+min(max(band, 0), h.Bands-1)] += n
	})
	for i, n := range cells {
		if n > 0 {
			h.Cells = append(h.Cells, [3]uint64{uint64(i / h.Bands), uint64(i % h.Bands), n})
		}
	}
	return h
}

// failing is who failed when: the rows with the most failures, and the rest.
func (d *Document) failing(length, width float64, bins int) []line {
	var rows []int
	for i := range d.Rows {
		if d.Rows[i].Failures > 0 {
			rows = append(rows, i)
		}
	}
	slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(d.Rows[b].Failures, d.Rows[a].Failures) })
	out := []line{}
	for n, i := range rows {
		s := d.seriesOf(i)
		values := rates(s.Second, s.Failures, length, width, bins)
		if n < maxFailing-1 || n == maxFailing-1 && len(rows) == maxFailing {
			out = append(out, line{d.Rows[i].heading(), values})
			continue
		}
		if len(out) < maxFailing {
			out = append(out, line{plural(len(rows)-maxFailing+1, "other request"), missing(bins)})
		}
		rest := out[maxFailing-1].Values
		for b, v := range values {
			if math.IsNaN(float64(rest[b])) {
				rest[b] = v
			} else if !math.IsNaN(float64(v)) {
				rest[b] += v
			}
		}
	}
	return out
}

// pulse is the generator's own health: the worst second of each bin.
func (d *Document) pulse(width float64, bins int) []line {
	out := []line{}
	for _, c := range []struct {
		name   string
		values []Number
	}{
		{"cpu", d.Health.CPU}, {"steal", d.Health.Steal}, {"throttled", d.Health.Throttled},
		{"lag p99", d.Health.LagP99}, {"gc pause", d.Health.GCPause},
	} {
		out = append(out, line{c.name, worstOf(d.Health.At, c.values, -0.5, width, bins)})
	}
	return out
}

// worstOf bins readings by their largest. Each belongs to its time plus shift.
func worstOf(at []float64, values []Number, shift, width float64, bins int) []amount {
	out := missing(bins)
	for i, t := range at {
		b := int(max(t+shift, 0) / width)
		if i >= len(values) || !values[i].Known() || b >= bins {
			continue
		}
		if v := amount(values[i]); math.IsNaN(float64(out[b])) || v > out[b] {
			out[b] = v
		}
	}
	return out
}

// probed spreads the readings of each probe over the bins that they hold for.
func (d *Document) probed(width float64, bins int) []probed {
	out := []probed{}
	for i := range d.Probes[:min(len(d.Probes), maxProbes)] {
		p := &d.Probes[i]
		line := probed{p.Name, p.Counter, missing(bins)}
		hold := func(from, to float64, v Number) {
			for b := int(max(from, 0) / width); b < bins && float64(b)*width <= to; b++ {
				line.Values[b] = amount(v)
			}
		}
		some := false
		for k, v := range p.Value {
			if !v.Known() {
				continue
			}
			from, to := p.At[k], p.At[k]
			if k+1 < len(p.At) {
				to = p.At[k+1]
			}
			switch {
			case !p.Counter:
				hold(from, to, v)
				some = true
			case to > from && p.Value[k+1].Known():
				next := p.Value[k+1]
				rise := next - v
				if next < v { // it has begun anew
					rise = next
				}
				hold(from, to, rise/Number(to-from))
				some = true
			}
		}
		if some {
			out = append(out, line)
		}
	}
	return out
}
