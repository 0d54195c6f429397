package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"tollgate/pkg/slo"
)

// picture is a promise drawn on a scale: what is allowed, where the limit is,
// where the true value lies, and what was observed. Positions are in the
// units of a view box of pictureWide by pictureHigh.
type picture struct {
	Text     string // the same in words
	Beside   string // what no column of the table says: the interval, and the share that it is of
	OK       bar    // the allowed side
	Limit    string
	Interval *bar // nil: seen, and not estimated
	Observed string
	Off      bool // the observed value is beyond the scale: no finite value
}

type bar struct{ X, W string }

const (
	pictureWide = 240
	pictureHigh = 22
	pictureEdge = 8 // on both sides, so that marks at the ends are whole
)

// picture draws a claim; nil where there is nothing to draw.
func (s *SLO) picture() *picture {
	units := map[Unit]slo.Unit{
		"seconds": slo.Seconds, "ratio": slo.Ratio, "per_second": slo.PerSecond, "count": slo.Count, "bytes": slo.Bytes,
	}
	unit, limit, observed := units[s.Unit], s.LimitValue, float64(s.Value)
	below := strings.HasPrefix(s.Op, "<")
	if s.Interval == nil || s.Interval.Unit == s.Unit {
		if !s.plain() || s.Verdict == slo.NoData {
			return nil
		}
	} else { // the share of slow or failed requests
		unit, limit, below = units[s.Interval.Unit], float64(s.Interval.Limit), true
		observed = math.NaN()
		if s.Requests > 0 {
			observed = float64(s.Bad) / float64(s.Requests)
		}
	}
	most := max(limit, 0)
	p := &picture{Off: math.IsNaN(observed) || math.IsInf(observed, 0)}
	if !p.Off {
		most = max(most, observed)
	}
	var in *Interval
	if s.Interval != nil && s.Interval.Low.Known() {
		in = s.Interval
		if most = max(most, float64(in.Low)); in.High.Known() {
			most = max(most, float64(in.High))
		}
	}
	if most == 0 {
		most = 1
	}
	most *= 1.12
	at := func(v float64) float64 {
		return pictureEdge + (pictureWide-2*pictureEdge)*min(max(v/most, 0), 1)
	}
	between := func(from, to float64) bar { return bar{place(from), place(max(to-from, 2))} }
	if below {
		p.OK = between(at(0), at(limit))
	} else if s.Op == "==" || s.Op == "!=" {
		p.OK = between(at(limit)-1, at(limit)+1)
	} else {
		p.OK = between(at(limit), at(most))
	}
	p.Limit = place(at(limit))
	texts := []string{"limit " + slo.FormatValue(limit, unit)}
	if in != nil {
		high, text := at(most), slo.FormatValue(float64(in.Low), unit)+" or more"
		if in.High.Known() {
			high, text = at(float64(in.High)), span2(float64(in.Low), float64(in.High), unit)
		}
		b := between(at(float64(in.Low)), high)
		p.Interval = &b
		p.Beside = "interval " + text
		texts = append([]string{p.Beside}, texts...)
	}
	if p.Off {
		p.Observed = place(pictureWide - pictureEdge)
		texts = append([]string{"no finite value"}, texts...)
	} else {
		p.Observed = place(at(observed))
		text := slo.FormatValue(observed, unit)
		if s.Interval != nil && s.Interval.Unit != s.Unit {
			text += " slow or failed"
			p.Beside = strings.Join(append([]string{text}, texts...), ", ")
		}
		texts = append([]string{text}, texts...)
	}
	p.Text = strings.Join(texts, ", ")
	return p
}

// plain tells whether a claim compares a value with a limit of the same kind.
func (s *SLO) plain() bool {
	if s.Guard {
		return true
	}
	o, err := slo.Parse(s.Claim)
	return err == nil && !o.OfBaseline && o.Right == (slo.MetricRef{}) && o.After == "" && o.Every == 0
}

// span2 writes two bounds, the unit once where both have it.
func span2(low, high float64, unit slo.Unit) string {
	a, b := slo.FormatValue(low, unit), slo.FormatValue(high, unit)
	number := strings.TrimRight(a, "%/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµ \u00a0\u202f")
	if a == b {
		return a
	}
	if suffix := a[len(number):]; suffix != "" && strings.HasSuffix(b, suffix) {
		return number + "–" + b
	}
	return a + "–" + b
}

// place writes a position.
func place(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// sparkPoints is how many points a sparkline has at most.
const sparkPoints = 60

const (
	sparkWide = 96
	sparkHigh = 22
)

// spark draws values as the d of a path: gaps where there are none, a mark at
// the top where over says that they are beyond all others. The scale begins at
// zero.
func spark(values []amount, over []int) string {
	step := (len(values) + sparkPoints - 1) / sparkPoints
	if step == 0 {
		return ""
	}
	var points []float64
	most := 0.0
	for i := 0; i < len(values); i += step {
		worst := math.NaN()
		for k, v := range values[i:min(i+step, len(values))] {
			v := float64(v)
			if math.IsNaN(v) && i+k < len(over) && over[i+k] > 0 {
				v = math.Inf(1)
			}
			if v > worst || math.IsNaN(worst) {
				worst = v
			}
		}
		if !math.IsInf(worst, 1) && worst > most {
			most = worst
		}
		points = append(points, worst)
	}
	var b strings.Builder
	pen := false
	for i, v := range points {
		if math.IsNaN(v) {
			pen = false
			continue
		}
		x, y := sparkWide/2.0, 1.5
		if len(points) > 1 {
			x = 1 + (sparkWide-2)*float64(i)/float64(len(points)-1)
		}
		if math.IsInf(v, 1) {
			fmt.Fprintf(&b, "M%s %sh1.5", place(x), place(y))
			pen = false
			continue
		}
		y = sparkHigh - 1.5
		if most > 0 {
			y -= (sparkHigh - 3) * v / most
		}
		command := "L"
		if !pen {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%s %s", command, place(x), place(y))
		if !pen {
			b.WriteString("h0")
		}
		pen = true
	}
	return b.String()
}
