package slo

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// grammar is what the language knows, for errors about what it does not.
const grammar = "an objective is METRIC[{label=value, ...}] OP VALUE [of baseline] [during STAGE] [including ramps] [every D [in P% of windows]] [within D after STAGE]"

// maxSource bounds an objective; the longest sensible one is a tenth of it.
const maxSource = 4096

// ParseError says what is wrong with an objective, where, and what to write.
type ParseError struct {
	Offset int    // 0-based byte offset in the source
	Msg    string // the reason
	Hint   string // what to write instead, or ""
}

// Error returns the reason and the hint.
func (e *ParseError) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Hint
}

// Parse reads a promise of a spec without probes: see ParseWith.
func Parse(src string) (Objective, error) { return ParseWith(src, Names{}) }

// ParseWith reads a promise:
//
//	METRIC[{label=value, ...}] OP VALUE [of baseline] [during STAGE] [including ramps]
//	    [every D [in P% of windows]] [within D after STAGE]
//	TOTAL[{label=value, ...}] OP TOTAL[{label=value, ...}]
//
//	p95 < 200ms
//	ok.p99.9{endpoint=login} <= 1.5s during steady
//	errors.check{persona="night shift"} == 0
//	throughput{task=browse} > 1000/s during spike including ramps
//	p95 < 200ms every 10s in 95% of windows
//	p95 < 200ms within 30s after spike
//	p95 <= 110% of baseline
//	delta(alerts_stored) >= successes{endpoint=alert_ingest}
//
// A metric is a word of the language or one of the names. ParseWith refuses
// what is no promise: an upper bound on throughput, a limit that can never be
// kept or never be broken. Every error is a *ParseError.
func ParseWith(src string, names Names) (Objective, error) {
	p := parser{src: src, names: names}
	o, err := p.objective()
	if err != nil {
		return Objective{}, err
	}
	if f := o.fault(); f != nil {
		return Objective{}, p.placed(f)
	}
	return o, nil
}

// ParseCondition reads what ends a stage (`until: errors > 5%`): the opposite
// of a promise, in the same grammar but without a scope, because its scope is
// the stage it stands in. It has become true when the promise Inverse() fails.
func ParseCondition(src string) (Objective, error) {
	p := parser{src: src}
	o, err := p.objective()
	if err != nil {
		return Objective{}, err
	}
	if part := o.scoped(); part != parts {
		return Objective{}, &ParseError{p.at[part], "a condition is about the stage it stands in, as it is now", "leave out what follows the value, and the stage"}
	}
	if o.related() {
		return Objective{}, &ParseError{p.at[inValue], "a condition compares with a value", "write it as in errors > 5%"}
	}
	inverse := o.Inverse()
	if inverse.meaning() == nil && inverse.sense() != nil {
		return Objective{}, &ParseError{p.at[inOp], fmt.Sprintf("%v %v %v does not say that something went wrong", o.Metric, o.Op, o.LimitText()),
			fmt.Sprintf("write %v %v %v", o.Metric, inverse.Op, o.LimitText())}
	}
	if f := inverse.fault(); f != nil {
		if f.part == inValue {
			f = &fault{inValue, fmt.Sprintf("%v %v %v ends the stage at once or never", o.Metric, o.Op, o.LimitText()), ""}
		}
		return Objective{}, p.placed(f)
	}
	return o, nil
}

// parser reads one source from left to right. The offsets of the parts are
// kept for the faults that show only when the whole is known.
type parser struct {
	src   string
	names Names
	pos   int
	at    [parts]int
}

// placed gives a fault of the whole its place.
func (p *parser) placed(f *fault) *ParseError {
	return &ParseError{p.at[f.part], f.msg, f.hint}
}

func fail(offset int, hint, format string, args ...any) error {
	return &ParseError{offset, fmt.Sprintf(format, args...), hint}
}

func (p *parser) objective() (Objective, error) {
	var o Objective
	if len(p.src) > maxSource {
		return o, fail(maxSource, "", "an objective has at most %d bytes", maxSource)
	}
	if i := invalidUTF8(p.src); i >= 0 {
		return o, fail(i, "", "the text is not valid UTF-8")
	}
	o.Text = fold(p.src)

	p.space()
	p.at[inMetric] = p.pos
	var err error
	if o.Metric, err = p.metric(); err != nil {
		return o, err
	}
	if err := p.selector(&o.Selector, &o.At, inSelector); err != nil {
		return o, err
	}
	o.During, o.At.During = o.Selector.Stage, o.At.Stage
	if o.Op, err = p.op(o.Metric); err != nil {
		return o, err
	}
	q, err := p.value(&o)
	if err != nil {
		return o, err
	}
	if err := p.clauses(&o); err != nil {
		return o, err
	}
	if o.related() {
		o.Unit = relationUnit(o.Metric, o.Right.Metric)
		return o, nil
	}
	// The unit comes last, for what follows the value tells which it must be.
	o.Limit, o.Unit, err = p.limit(&o, q)
	return o, err
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// fold trims the text and turns each run of white space outside quotes into one space.
func fold(src string) string {
	var b strings.Builder
	quoted, escaped, gap := false, false, false
	for _, r := range src {
		if !quoted && isSpace(r) {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte(' ')
		}
		gap = false
		b.WriteRune(r)
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		}
	}
	return b.String()
}

func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

func (p *parser) rest() string { return p.src[p.pos:] }

func (p *parser) end() bool { return p.pos == len(p.src) }

func (p *parser) space() {
	p.pos = len(p.src) - len(strings.TrimLeftFunc(p.rest(), isSpace))
}

// take reads the longest run of runes that satisfy in.
func (p *parser) take(in func(rune) bool) string {
	n := strings.IndexFunc(p.rest(), func(r rune) bool { return !in(r) })
	if n < 0 {
		n = len(p.rest())
	}
	text := p.rest()[:n]
	p.pos += n
	return text
}

// accept reads the text if it is next.
func (p *parser) accept(text string) bool {
	if !strings.HasPrefix(p.rest(), text) {
		return false
	}
	p.pos += len(text)
	return true
}

// here shows what stands at the position, for an error.
func (p *parser) here() string {
	if p.end() {
		return "the end"
	}
	text := p.rest()
	if i := strings.IndexFunc(text, isSpace); i > 0 {
		text = text[:i]
	}
	if utf8.RuneCountInString(text) > 20 {
		text = string([]rune(text)[:20]) + "…"
	}
	return strconv.Quote(text)
}

func isMetricRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.'
}

// metricHints answer words that people bring from elsewhere.
var metricHints = map[string]string{
	"avg": "write mean", "average": "write mean", "median": "write p50", "med": "write p50",
	"min": "a fastest request promises nothing; write p50", "error": "write errors", "failures": "write errors",
	"error_rate": "write errors", "rps": "write throughput", "rate": "write throughput", "count": "write requests",
	"latency": "write p95, or another pN", "p": "write p95, or another pN",
}

// metricNames are the words that a misspelt metric may have meant.
var metricNames = []string{"max", "mean", "errors", "within", "throughput", "successes", "requests", "users", "dropped", "bytes_in", "bytes_out"}

// metricList says which metrics there are.
func (p *parser) metricList() string {
	const list = "metrics are pN (p95), max, mean, errors, within(200ms), throughput, successes, requests, users, dropped, bytes_in and bytes_out"
	if len(p.names.Probes) == 0 {
		return list
	}
	return list + ", and the probes " + strings.Join(p.names.Probes, ", ")
}

func (p *parser) metric() (Metric, error) {
	var m Metric
	if p.end() {
		return m, fail(p.pos, grammar, "the objective is empty")
	}
	at := p.pos
	word := p.take(isMetricRune)
	if word == "" {
		return m, fail(at, p.metricList(), "a metric is missing before %s", p.here())
	}
	name, err := p.prefixes(&m, word, at)
	if err != nil {
		return m, err
	}
	nameAt := at + len(word) - len(name)
	head, class, classed := strings.Cut(name, ".")
	switch {
	case head == "errors" && classed:
		m.Kind, m.Class = Errors, class
		if !slices.Contains(classes, class) {
			return m, fail(nameAt+len("errors."), classHint(class), "%q is not a class of failures", class)
		}
	case name == "within":
		m.Kind = Within
		if m.Within, err = p.withinLimit(); err != nil {
			return m, err
		}
	case name == "delta":
		m.Kind = Delta
		if m.Name, err = p.deltaProbe(); err != nil {
			return m, err
		}
	case len(name) > 1 && name[0] == 'p' && name[1] >= '0' && name[1] <= '9' || strings.HasPrefix(name, "p."):
		m.Kind = Quantile
		if m.Q, err = quantile(name, nameAt); err != nil {
			return m, err
		}
	default:
		for kind, known := range kindNames {
			if name == known {
				m.Kind = kind
			}
		}
		if m.Kind == 0 && slices.Contains(p.names.Probes, name) {
			m.Kind, m.Name = Probe, name
		}
	}
	if m.Kind == 0 {
		return m, fail(nameAt, p.metricHint(name), "%q is not a metric", name)
	}
	if nameAt > at && !m.latency() {
		plain := m
		plain.OnlyOK, plain.Clock = false, Response
		return m, fail(at, fmt.Sprintf("write %v, or %sp95", plain, word[:nameAt-at]),
			"the prefix %s stands only before pN, max and mean", word[:nameAt-at])
	}
	if strings.HasPrefix(p.rest(), "(") {
		return m, fail(p.pos, fmt.Sprintf("write %v", m), "%v takes no argument", m)
	}
	return m, nil
}

// prefixes reads ok. and a clock off a metric's word and returns what is left.
func (p *parser) prefixes(m *Metric, word string, at int) (string, error) {
	name := word
	for {
		prefix, rest, ok := strings.Cut(name, ".")
		if !ok {
			return name, nil
		}
		clock := map[string]Clock{"service": Service, "ttfb": TTFB, "connect": Connect}[prefix]
		here := at + len(word) - len(name)
		switch {
		case prefix == "ok" && m.OnlyOK, clock != Response && m.Clock != Response:
			return name, fail(here, "one clock, and ok. once", "a second prefix %s.", prefix)
		case prefix == "ok" && m.Clock != Response:
			return name, fail(here, fmt.Sprintf("write ok.%v.%s", m.Clock, rest), "ok. comes first")
		case prefix == "ok":
			m.OnlyOK = true
		case clock != Response:
			m.Clock = clock
		default:
			return name, nil
		}
		name = rest
	}
}

func (p *parser) metricHint(name string) string {
	if h := metricHints[strings.ToLower(name)]; h != "" {
		return h
	}
	lower := strings.ToLower(name)
	if lower != name && len(lower) > 1 && lower[0] == 'p' && isNumeral(rune(lower[1])) {
		return "write " + lower
	}
	prefix, rest, ok := strings.Cut(name, ".")
	if n := nearest(prefix, []string{"ok", "service", "ttfb", "connect", "errors"}); ok && n != "" {
		return "write " + n + "." + rest
	}
	if n := nearest(name, p.names.Probes); n != "" {
		return "write " + n
	}
	if n := nearest(lower, metricNames); n != "" {
		return "write " + n
	}
	return p.metricList()
}

func classHint(class string) string {
	if n := nearest(class, classes); n != "" {
		return "write errors." + n
	}
	return "classes are " + oneOf(classes)
}

// quantile reads p95 as 0.95.
func quantile(name string, at int) (float64, error) {
	if strings.ContainsFunc(name[1:], func(r rune) bool { return !isNumeral(r) }) {
		return 0, fail(at, "write p95, or another pN", "%q is not a metric", name)
	}
	n, c := parseNumber(name[1:])
	if c != nil {
		return 0, fail(at+1+c.offset, strings.Replace(c.hint, "write ", "write p", 1), "%s", c.msg)
	}
	if strings.Contains(name, "_") {
		return 0, fail(at, "write p95", "%s is not a quantile", name)
	}
	switch hundred := big.NewRat(100, 1); {
	case n.Sign() == 0:
		return 0, fail(at, "the slowest request is max, the median p50", "p0 is not a quantile: N of pN lies between 0 and 100")
	case n.Cmp(hundred) == 0:
		return 0, fail(at, "write max", "p100 is not a quantile: N of pN lies between 0 and 100")
	case n.Cmp(hundred) > 0:
		return 0, fail(at, "write p99.9, or max for the slowest request", "%s is not a quantile: N of pN lies between 0 and 100", name)
	default:
		q := quantity{text: name, value: n.Quo(n, hundred), of: Ratio}
		v, c := q.keep()
		if c != nil {
			return 0, fail(at, c.hint, "%s", c.msg)
		}
		return v, nil
	}
}

// withinLimit reads the (200ms) of within(200ms).
func (p *parser) withinLimit() (time.Duration, error) {
	const hint = "write within(200ms)"
	p.space()
	if !p.accept("(") {
		return 0, fail(p.pos, hint, "within needs a duration in parentheses")
	}
	p.space()
	at := p.pos
	token := p.take(func(r rune) bool { return r != ')' && !isSpace(r) })
	p.space()
	if !p.accept(")") {
		return 0, fail(p.pos, hint, "within( has no closing parenthesis before %s", p.here())
	}
	return spanOf(token, at, "within()", hint)
}

// spanOf returns the length of time that a token gives to what.
func spanOf(token string, at int, what, hint string) (time.Duration, error) {
	if token == "" || !isNumeral(rune(token[0])) {
		return 0, fail(at, hint, "%s needs a duration", what)
	}
	q, c := parseQuantity(token)
	if c != nil {
		return 0, fail(at+c.offset, c.hint, "%s", c.msg)
	}
	ns := product(q.value, 1e9)
	switch {
	case q.of == Count && q.value.Sign() != 0:
		return 0, fail(at, hint, "%s needs a duration, and %s has no unit", what, token)
	case q.value.Sign() == 0:
		return 0, fail(at, hint, "%s needs a duration above zero", what)
	case q.of != Seconds:
		return 0, fail(at, hint, "%s needs a duration, and %s is none", what, token)
	case !ns.IsInt():
		return 0, fail(at, "", "%s is not a whole number of nanoseconds", token)
	case !ns.Num().IsInt64():
		return 0, fail(at, "", "%s is too large", token)
	}
	return time.Duration(ns.Num().Int64()), nil
}

// deltaProbe reads the (alerts_stored) of delta(alerts_stored).
func (p *parser) deltaProbe() (string, error) {
	const hint = "write delta(PROBE)"
	p.space()
	if !p.accept("(") {
		return "", fail(p.pos, hint, "delta needs a probe in parentheses")
	}
	p.space()
	at := p.pos
	name := p.take(isMetricRune)
	switch {
	case name == "":
		return "", fail(at, hint, "delta() needs a probe, and not %s", p.here())
	case !slices.Contains(p.names.Probes, name):
		return "", fail(at, p.probeHint(name), "no probe is called %s", name)
	}
	p.space()
	if !p.accept(")") {
		return "", fail(p.pos, hint, "delta( has no closing parenthesis before %s", p.here())
	}
	return name, nil
}

func (p *parser) probeHint(name string) string {
	own := parser{src: name}
	if m, err := own.metric(); err == nil && m.total() {
		return fmt.Sprintf("write %v: it is a total of the run by itself", m)
	}
	if n := nearest(name, p.names.Probes); n != "" {
		return "write delta(" + n + ")"
	}
	if len(p.names.Probes) == 0 {
		return "declare it under probes"
	}
	return "probes are " + strings.Join(p.names.Probes, ", ")
}

// selector reads {label=value, ...}, if there is one.
func (p *parser) selector(sel *Selector, offsets *Offsets, in part) error {
	p.space()
	open := p.pos
	if !p.accept("{") {
		return nil
	}
	p.at[in] = open
	for {
		p.space()
		at := p.pos
		label := p.take(bareRune)
		field, offset := sel.field(label), offsets.field(label)
		switch {
		case label == "" && *sel == (Selector{}) && p.accept("}"):
			return fail(open, "leave out what selects nothing, or write {endpoint=NAME}", "a label is missing")
		case label == "":
			return fail(at, "labels are "+oneOf(labels), "a label is missing before %s", p.here())
		case field == nil:
			return fail(at, labelHint(label), "%q is not a label", label)
		case *field != "":
			return fail(at, "one value each", "the label %s stands twice", label)
		}
		p.space()
		if !p.accept("=") {
			return fail(p.pos, "write "+label+"=NAME", "the label %s has no value", label)
		}
		var err error
		p.space()
		*offset = p.pos
		if *field, err = p.name(label + "=NAME"); err != nil {
			return err
		}
		p.space()
		if p.accept("}") {
			return nil
		}
		if !p.accept(",") {
			return fail(p.pos, `labels are divided by commas; quote a name with spaces: "NAME"`, "the selector goes on with %s", p.here())
		}
	}
}

func labelHint(label string) string {
	if n := nearest(label, labels); n != "" {
		return "write " + n
	}
	return "labels are " + oneOf(labels)
}

// name reads a name, bare or quoted. form says how it should have been written.
func (p *parser) name(form string) (string, error) {
	at := p.pos
	if !p.accept(`"`) {
		name := p.take(bareRune)
		if name == "" {
			return "", fail(at, "write "+form+`, in double quotes where it has other signs than letters, digits and _-./:`, "a name is missing before %s", p.here())
		}
		return name, nil
	}
	var b strings.Builder
	for escaped := false; ; {
		if p.end() {
			return "", fail(at, `end it with "`, "the quoted name has no end")
		}
		r, n := utf8.DecodeRuneInString(p.rest())
		switch {
		case r < ' ' || r == 0x7f:
			return "", fail(p.pos, "", "a name has no control characters")
		case escaped && r != '"' && r != '\\':
			return "", fail(p.pos-1, `write \\`, `only \" and \\ are escapes`)
		case escaped:
			escaped = false
			b.WriteRune(r)
		case r == '\\':
			escaped = true
		case r == '"' && b.Len() == 0:
			return "", fail(at, "write "+form, "the name is empty")
		case r == '"':
			p.pos += n
			return b.String(), nil
		default:
			b.WriteRune(r)
		}
		p.pos += n
	}
}

var opHints = map[string]string{
	"=": "write ==", "===": "write ==", "=<": "write <=", "=>": "write >=", "≤": "write <=", "≥": "write >=",
	"<>": "write !=", "≠": "write !=", "!": "write !=", "<<": "write <", ">>": "write >",
}

func (p *parser) op(m Metric) (Op, error) {
	p.space()
	p.at[inOp] = p.pos
	text := p.take(func(r rune) bool { return strings.ContainsRune("<>=!~≤≥≠", r) })
	switch text {
	case "<":
		return LT, nil
	case "<=":
		return LE, nil
	case ">":
		return GT, nil
	case ">=":
		return GE, nil
	case "==":
		return EQ, nil
	case "!=":
		return NE, nil
	case "":
		return 0, fail(p.at[inOp], "comparisons are <, <=, >, >=, == and !=", "%v is followed by %s, not by a comparison", m, p.here())
	}
	hint := opHints[text]
	if hint == "" {
		hint = "comparisons are <, <=, >, >=, == and !="
	}
	return 0, fail(p.at[inOp], hint, "%q is not a comparison", text)
}

// value reads what follows the comparison: a number, or a metric, which makes
// the objective a relation. Whether the number's unit is the metric's is asked
// by limit.
func (p *parser) value(o *Objective) (quantity, error) {
	p.space()
	at := p.pos
	p.at[inValue] = at
	token := p.take(func(r rune) bool { return !isSpace(r) })
	switch {
	case token == "":
		return quantity{}, fail(at, grammar, "a value is missing")
	case spellsNoNumber(strings.TrimLeft(token, "+-")):
		return quantity{}, fail(at, "write a finite number with its unit", "%s is not a limit", token)
	case token[0] == '-':
		return quantity{}, fail(at, "", "a limit is not negative")
	case token[0] == '+':
		return quantity{}, fail(at, "write "+token[1:], "a limit has no sign")
	case token == "baseline":
		return quantity{}, fail(at, "write 110% of baseline", "a baseline is compared by a share of it")
	case isMetricRune(rune(token[0])) && !isNumeral(rune(token[0])):
		p.pos = at
		return quantity{}, p.right(o)
	case !isNumeral(rune(token[0])):
		return quantity{}, fail(at, "write a number with its unit, such as 200ms, 1% or 1000/s", "%q is not a value", token)
	}
	q, c := parseQuantity(token)
	if c != nil {
		return q, fail(at+c.offset, c.hint, "%s", c.msg)
	}
	return q, nil
}

// right reads the metric that stands in the value's place.
func (p *parser) right(o *Objective) error {
	at := p.pos
	m, err := p.metric()
	var pe *ParseError
	switch {
	case errors.As(err, &pe) && pe.Offset == at && pe.Hint == p.metricList():
		return fail(at, "write a number with its unit, such as 200ms, 1% or 1000/s, or a metric", "%q is not a value", p.src[at:p.pos])
	case err != nil:
		return err
	}
	o.Right.Metric = m
	return p.selector(&o.Right.Selector, &o.Right.At, inRightSelector)
}

// limit returns the value in the base unit, if its unit is the metric's; of a
// baseline, it is a share.
func (p *parser) limit(o *Objective, q quantity) (float64, Unit, error) {
	m, at := o.Metric, p.at[inValue]
	want := m.unit()
	switch {
	case o.OfBaseline && q.of != Ratio:
		hint := "write 110% of baseline"
		if q.of == Count && q.value.Sign() != 0 {
			hint = "write " + q.text + "% of baseline"
		}
		return 0, 0, fail(at, hint, "a share of the baseline is a percentage, and %s is not", q.text)
	case o.OfBaseline:
	case q.value.Sign() == 0 && q.of == Count:
		return 0, want, nil // nothing is nothing in every unit
	case !m.allows(q.of):
		noun, example := m.noun()
		if q.of == Count {
			return 0, 0, fail(at, withUnit(q, want), "%v is %s, and %s has no unit", m, noun, q.text)
		}
		if q.of == Ratio && m.counted() {
			example += ", or " + q.text + " of baseline"
		}
		return 0, 0, fail(at, "write "+example, "%v is %s, and %s is not", m, noun, q.text)
	}
	v, c := q.keep()
	if c != nil {
		return 0, 0, fail(at, c.hint, "%s", c.msg)
	}
	return v, q.of, nil
}

// noun says what kind of value a metric has, and gives an example.
func (m Metric) noun() (noun, example string) {
	switch {
	case m.Kind == Dropped:
		return "a count or a ratio", "10 or 1%"
	case m.unit() == Seconds:
		return "a duration", "200ms"
	case m.unit() == Ratio:
		return "a ratio", "1%"
	case m.unit() == PerSecond:
		return "a rate", "1000/s"
	case m.unit() == Bytes:
		return "a size", "64MiB"
	}
	return "a count", "1000"
}

// withUnit writes a bare number with the unit that was most likely meant.
func withUnit(q quantity, u Unit) string {
	small := q.value.Cmp(big.NewRat(1, 1)) < 0
	switch {
	case u == Seconds && q.value.Cmp(big.NewRat(10, 1)) < 0:
		return fmt.Sprintf("write %ss", q.text)
	case u == Seconds:
		return fmt.Sprintf("write %sms", q.text)
	case u == Ratio && small:
		return fmt.Sprintf("write %s%%", decimalText(product(q.value, 100)))
	case u == Ratio:
		return fmt.Sprintf("write %s%%", q.text)
	case u == PerSecond:
		return fmt.Sprintf("write %s/s", q.text)
	}
	return fmt.Sprintf("write %sB", q.text)
}
