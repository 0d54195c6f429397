package report

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"tollgate/pkg/slo"
)

// Baseline is how a run differs from a stored one, on the holds that are
// judged. It is shown and decides nothing.
type Baseline struct {
	Result  string `json:"result"`  // as it was named
	Started Stamp  `json:"started"` // of that run
	Moves   []Move `json:"moves"`   // all rows but set-up together, then each
}

// Move is how one row differs.
type Move struct {
	Row    string `json:"row"` // "" with Method "": all rows but set-up
	Method string `json:"method"`
	Before uint64 `json:"before"` // requests that are compared
	After  uint64 `json:"after"`
	P95    Change `json:"p95"`
	P99    Change `json:"p99"`
	Errors Change `json:"errors"`
}

// Change is how one metric differs: seconds, whose change is a ratio less one,
// or a share, whose change is the difference.
type Change struct {
	Before Number `json:"before"`
	After  Number `json:"after"`
	Change Number `json:"change"`
	Low    Number `json:"low"` // with High its interval; null where there is none
	High   Number `json:"high"`
}

// beyond tells whether the interval leaves out that nothing has changed.
func (c *Change) beyond() bool { return c.Low.Known() && c.High.Known() && (c.Low > 0 || c.High < 0) }

// maxMoves is how many rows summary.md shows of a baseline.
const maxMoves = 10

// size ranks a move: by the larger change of its percentiles in octaves, or of
// its errors, a tenth of all requests for an octave. What lost its finite value
// has moved farthest.
func (m *Move) size() float64 {
	octaves := func(c *Change) float64 {
		if m.Before == 0 || m.After == 0 || !c.Before.Known() && !c.After.Known() {
			return 0
		}
		if c.Before.Known() != c.After.Known() {
			return math.Inf(1)
		}
		return math.Abs(math.Log2(float64(c.After / c.Before)))
	}
	size := max(octaves(&m.P95), octaves(&m.P99))
	if m.Errors.Change.Known() {
		size = max(size, 10*math.Abs(float64(m.Errors.Change)))
	}
	if math.IsNaN(size) { // from a time of zero
		return 0
	}
	return size
}

// baseline writes the rows that moved most.
func (p *page) baseline(d *Document) {
	b := d.Baseline
	if b == nil || len(b.Moves) == 0 {
		return
	}
	p.printf("### Against the baseline\n\n")
	when := ""
	if b.Started != "" {
		when = " of " + string(b.Started)
	}
	p.printf("%s%s, while the load was held. ▲ ▼: more than each run varies within itself. It decides nothing.\n\n", item(b.Result), escape(when))
	moves := slices.Clone(b.Moves)
	slices.SortStableFunc(moves, func(x, y Move) int {
		if whole := func(m Move) bool { return m.Row == "" && m.Method == "" }; whole(x) != whole(y) {
			return cmp.Compare(boolRank(whole(x)), boolRank(whole(y)))
		}
		return cmp.Compare(y.size(), x.size())
	})
	var rows [][]string
	for _, m := range moves[:min(len(moves), 1+maxMoves)] {
		name := strings.TrimSpace(m.Method + " " + m.Row)
		if name == "" {
			name = "all"
		}
		rows = append(rows, []string{name, m.time(&m.P95), m.time(&m.P99), m.share(&m.Errors)})
	}
	p.table("lrrr", []string{"Request", "p95", "p99", "Errors"}, rows)
	if more := len(moves) - 1 - maxMoves; more > 0 {
		p.printf("and %s that moved less\n\n", plural(more, "row"))
	}
}

// boolRank puts what is true first.
func boolRank(b bool) int {
	if b {
		return 0
	}
	return 1
}

// time writes the change of a percentile: ▲ 120 ms → 150 ms (+25 %).
func (m *Move) time(c *Change) string {
	text := shown(c.Before, m.Before) + " → " + shown(c.After, m.After)
	if c.Change.Known() {
		text += " (" + signed(slo.FormatValue(float64(c.Change), slo.Ratio)) + ")"
	}
	return c.arrow() + text
}

// share writes the change of a share of errors: 0 % → 1.2 % (+1.2 points).
func (m *Move) share(c *Change) string {
	part := func(n Number) string {
		if !n.Known() {
			return "–"
		}
		return slo.FormatValue(float64(n), slo.Ratio)
	}
	text := part(c.Before) + " → " + part(c.After)
	if c.Change.Known() && c.Change != 0 {
		text += " (" + signed(strings.TrimSuffix(slo.FormatValue(float64(c.Change), slo.Ratio), " %")) + " points)"
	}
	return c.arrow() + text
}

func (c *Change) arrow() string {
	switch {
	case !c.beyond():
		return ""
	case c.Change > 0:
		return "▲ "
	}
	return "▼ "
}

func signed(text string) string {
	if strings.HasPrefix(text, "-") {
		return text
	}
	return "+" + text
}
