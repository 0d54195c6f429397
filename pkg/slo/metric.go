package slo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String returns the prefix that names the clock, without its dot; the default
// clock has none.
func (c Clock) String() string {
	switch c {
	case Service:
		return "service"
	case TTFB:
		return "ttfb"
	case Connect:
		return "connect"
	}
	return ""
}

// kindNames are the metric words that stand alone; pN and within() carry a value.
var kindNames = map[MetricKind]string{
	Max: "max", Mean: "mean", Errors: "errors", Throughput: "throughput", Successes: "successes",
	Requests: "requests", Users: "users", Dropped: "dropped", BytesIn: "bytes_in", BytesOut: "bytes_out",
}

var classes = []string{"status", "check", "timeout", "connect", "tls", "dns", "reset", "protocol", "too_large", "aborted", "generator"}

// Classes returns the failure classes that errors.CLASS may name.
func Classes() []string { return slices.Clone(classes) }

// String returns the metric as the grammar writes it: ok.p99.9, errors.check, within(200ms).
func (m Metric) String() string {
	var b strings.Builder
	if m.OnlyOK {
		b.WriteString("ok.")
	}
	if clock := m.Clock.String(); clock != "" {
		b.WriteString(clock + ".")
	}
	switch {
	case m.Kind == Quantile && finite(m.Q):
		b.WriteString("p" + decimalText(product(exact(m.Q), 100)))
	case m.Kind == Within:
		b.WriteString("within(" + spanText(m.Within) + ")")
	case m.Kind == Probe:
		b.WriteString(m.Name)
	case m.Kind == Delta:
		b.WriteString("delta(" + m.Name + ")")
	case kindNames[m.Kind] != "":
		b.WriteString(kindNames[m.Kind])
	default:
		fmt.Fprintf(&b, "metric(%d)", m.Kind)
	}
	if m.Class != "" {
		b.WriteString("." + m.Class)
	}
	return b.String()
}

// latency tells whether the metric is a duration read off a clock.
func (m Metric) latency() bool { return m.Kind == Quantile || m.Kind == Max || m.Kind == Mean }

// unit returns the unit that a limit of the metric has. Dropped has two, of
// which the count is the one without a sign of its own.
func (m Metric) unit() Unit {
	switch m.Kind {
	case Quantile, Max, Mean:
		return Seconds
	case Errors, Within:
		return Ratio
	case Throughput:
		return PerSecond
	case BytesIn, BytesOut:
		return Bytes
	}
	return Count
}

// allows tells whether a limit of the metric may have the unit. A probe's
// value is a bare number, which the unit of its limit gives a meaning.
func (m Metric) allows(u Unit) bool {
	return u == m.unit() || m.Kind == Dropped && u == Ratio || m.probed() && u >= Seconds && u <= Bytes
}

// probed tells whether the metric comes from a probe and not from requests.
func (m Metric) probed() bool { return m.Kind == Probe || m.Kind == Delta }

// counted tells whether the metric is measured on requests, second by second.
func (m Metric) counted() bool {
	switch m.Judged() {
	case ByCount, ByMax, BySum:
		return true
	}
	return false
}

// Basis is the part of the evidence that decides a metric.
type Basis uint8

// The bases.
const (
	ByCount Basis = iota + 1 // N and Bad of the slots
	ByMax                    // Max of the slots
	BySum                    // Sum of the slots, for Mean divided by N
	ByGauge                  // Gauge, each reading by itself
	ByTotal                  // Left and Right
)

// Judged says which part of the evidence decides the metric, and so what must
// be recorded for it; 0 for no metric at all. On both sides of a relation the
// same metrics are decided by Left and Right.
func (m Metric) Judged() Basis {
	switch m.Kind {
	case Quantile, Errors, Within, Throughput, Successes, Requests, Dropped:
		return ByCount
	case Max:
		return ByMax
	case Mean, BytesIn, BytesOut:
		return BySum
	case Users, Probe:
		return ByGauge
	case Delta:
		return ByTotal
	}
	return 0
}

// String returns the comparison as the grammar writes it.
func (op Op) String() string {
	switch op {
	case LT:
		return "<"
	case LE:
		return "<="
	case GT:
		return ">"
	case GE:
		return ">="
	case EQ:
		return "=="
	case NE:
		return "!="
	}
	return "op(" + strconv.Itoa(int(op)) + ")"
}

// inverse returns the comparison that holds exactly when op does not.
func (op Op) inverse() Op {
	switch op {
	case LT:
		return GE
	case LE:
		return GT
	case GT:
		return LE
	case GE:
		return LT
	case EQ:
		return NE
	case NE:
		return EQ
	}
	return op
}

// holds tells whether `a op b` is true, given the sign of a - b.
func (op Op) holds(sign int) bool {
	switch op {
	case LT:
		return sign < 0
	case LE:
		return sign <= 0
	case GT:
		return sign > 0
	case GE:
		return sign >= 0
	case EQ:
		return sign == 0
	case NE:
		return sign != 0
	}
	return false
}
