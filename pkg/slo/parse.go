package slo

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// grammar is what the language knows, for errors about what it does not.
const grammar = "an objective is METRIC[{label=value, ...}] OP VALUE [during STAGE] [including ramps]"

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

// Parse reads a promise:
//
//	METRIC[{label=value, ...}] OP VALUE [during STAGE] [including ramps]
//
//	p95 < 200ms
//	ok.p99.9{endpoint=login} <= 1.5s during steady
//	errors.check{persona="night shift"} == 0
//	throughput{task=browse} > 1000/s during spike including ramps
//
// It refuses what is no promise: an upper bound on throughput, a limit that
// can never be kept or never be broken. Every error is a *ParseError.
func Parse(src string) (Objective, error) {
	p := parser{src: src}
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
	if o.During != "" || o.IncludingRamps {
		return Objective{}, &ParseError{p.scopeAt, "a condition is about the stage it stands in", "leave out the stage"}
	}
	inverse := o.Inverse()
	if inverse.meaning() == nil && inverse.sense() != nil {
		return Objective{}, &ParseError{p.opAt, fmt.Sprintf("%v %v %v does not say that something went wrong", o.Metric, o.Op, o.LimitText()),
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
	src string
	pos int

	metricAt, opAt, valueAt, scopeAt int
}

// placed gives a fault of the whole its place.
func (p *parser) placed(f *fault) *ParseError {
	at := [...]int{inMetric: p.metricAt, inOp: p.opAt, inValue: p.valueAt}[f.part]
	return &ParseError{at, f.msg, f.hint}
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
	p.metricAt = p.pos
	var err error
	if o.Metric, err = p.metric(); err != nil {
		return o, err
	}
	if err := p.selector(&o); err != nil {
		return o, err
	}
	if o.Op, err = p.op(o.Metric); err != nil {
		return o, err
	}
	q, err := p.value()
	if err != nil {
		return o, err
	}
	if err := p.scope(&o); err != nil {
		return o, err
	}
	// The unit comes last: `p95 <= 110% of baseline` is told that there is no
	// baseline yet, not that a percentage is no duration.
	o.Limit, o.Unit, err = p.limit(o.Metric, q)
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

const metricList = "metrics are pN (p95), max, mean, errors, within(200ms), throughput, successes, requests, users, dropped, bytes_in and bytes_out"

func (p *parser) metric() (Metric, error) {
	var m Metric
	if p.end() {
		return m, fail(p.pos, grammar, "the objective is empty")
	}
	at := p.pos
	word := p.take(isMetricRune)
	if word == "" {
		return m, fail(at, metricList, "a metric is missing before %s", p.here())
	}
	if word == "delta" {
		return m, fail(at, grammar, "delta() is not part of the language yet")
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
	case name == "max":
		m.Kind = Max
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
	}
	if m.Kind == 0 {
		return m, fail(nameAt, metricHint(name), "%q is not a metric", name)
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

func metricHint(name string) string {
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
	if n := nearest(lower, metricNames); n != "" {
		return "write " + n
	}
	return metricList
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
	q, c := parseQuantity(token)
	if c != nil {
		return 0, fail(at+c.offset, c.hint, "%s", c.msg)
	}
	ns := product(q.value, 1e9)
	switch {
	case token == "" || q.of != Seconds:
		return 0, fail(at, hint, "within() needs a duration")
	case q.value.Sign() == 0:
		return 0, fail(at, hint, "within() needs a duration above zero")
	case !ns.IsInt():
		return 0, fail(at, "", "%s is not a whole number of nanoseconds", token)
	case !ns.Num().IsInt64():
		return 0, fail(at, "", "%s is too large", token)
	}
	return time.Duration(ns.Num().Int64()), nil
}

// selector reads {label=value, ...}, if there is one.
func (p *parser) selector(o *Objective) error {
	p.space()
	open := p.pos
	if !p.accept("{") {
		return nil
	}
	for {
		p.space()
		at := p.pos
		label := p.take(bareRune)
		field, offset := o.Selector.field(label), o.At.field(label)
		switch {
		case label == "" && o.Selector == (Selector{}) && p.accept("}"):
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
			break
		}
		if !p.accept(",") {
			return fail(p.pos, `labels are divided by commas; quote a name with spaces: "NAME"`, "the selector goes on with %s", p.here())
		}
	}
	o.During, o.At.During = o.Selector.Stage, o.At.Stage
	return nil
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
	p.opAt = p.pos
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
		return 0, fail(p.opAt, "comparisons are <, <=, >, >=, == and !=", "%v is followed by %s, not by a comparison", m, p.here())
	}
	hint := opHints[text]
	if hint == "" {
		hint = "comparisons are <, <=, >, >=, == and !="
	}
	return 0, fail(p.opAt, hint, "%q is not a comparison", text)
}

// value reads the number after the comparison; whether its unit is the
// metric's is asked by limit.
func (p *parser) value() (quantity, error) {
	p.space()
	p.valueAt = p.pos
	token := p.take(func(r rune) bool { return !isSpace(r) })
	switch lower := strings.ToLower(strings.TrimLeft(token, "+-")); {
	case token == "":
		return quantity{}, fail(p.valueAt, grammar, "a value is missing")
	case lower == "nan" || lower == "inf" || lower == "infinity" || lower == "∞":
		return quantity{}, fail(p.valueAt, "write a finite number with its unit", "%s is not a limit", token)
	case token[0] == '-':
		return quantity{}, fail(p.valueAt, "", "a limit is not negative")
	case token[0] == '+':
		return quantity{}, fail(p.valueAt, "write "+token[1:], "a limit has no sign")
	case strings.HasPrefix(token, "delta(") || namesMetric(token):
		return quantity{}, fail(p.valueAt, grammar, "comparing a metric with a metric is not part of the language yet")
	case !isNumeral(rune(token[0])):
		return quantity{}, fail(p.valueAt, "write a number with its unit, such as 200ms, 1% or 1000/s", "%q is not a value", token)
	}
	q, c := parseQuantity(token)
	if c != nil {
		return q, fail(p.valueAt+c.offset, c.hint, "%s", c.msg)
	}
	return q, nil
}

// namesMetric tells whether a token in the value's place begins as a metric does.
func namesMetric(token string) bool {
	p := parser{src: token}
	_, err := p.metric()
	return err == nil
}

// limit returns the value in the base unit, if its unit is the metric's.
func (p *parser) limit(m Metric, q quantity) (float64, Unit, error) {
	want := m.unit()
	if q.value.Sign() == 0 && q.of == Count {
		return 0, want, nil // nothing is nothing in every unit
	}
	if !m.allows(q.of) {
		noun, example := m.noun()
		if q.of == Count {
			return 0, 0, fail(p.valueAt, withUnit(q, want), "%v is %s, and %s has no unit", m, noun, q.text)
		}
		return 0, 0, fail(p.valueAt, "write "+example, "%v is %s, and %s is not", m, noun, q.text)
	}
	v, c := q.keep()
	if c != nil {
		return 0, 0, fail(p.valueAt, c.hint, "%s", c.msg)
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

// notYet are the words of the language to come.
var notYet = map[string]string{
	"every": "windows (every 10s)", "in": "windows (in 95% of windows)",
	"within": "recovery (within 30s after STAGE)", "after": "recovery (within 30s after STAGE)",
	"of": "baselines (of baseline)",
}

// scope reads what follows the value.
func (p *parser) scope(o *Objective) error {
	for {
		p.space()
		at := p.pos
		if p.end() {
			return nil
		}
		word := p.take(bareRune)
		if p.scopeAt == 0 {
			p.scopeAt = at
		}
		switch later := notYet[word]; {
		case word == "during" && o.IncludingRamps:
			return fail(at, "write during STAGE including ramps", "during comes before including ramps")
		case word == "during":
			if err := p.during(o, at); err != nil {
				return err
			}
		case word == "including" && o.IncludingRamps:
			return fail(at, "", "including ramps stands twice")
		case word == "including":
			p.space()
			rampsAt := p.pos
			if p.take(bareRune) != "ramps" {
				p.pos = rampsAt
				return fail(rampsAt, "write including ramps", "including is followed by %s, not by ramps", p.here())
			}
			o.IncludingRamps = true
		case later != "":
			return fail(at, grammar, "%s: not part of the language yet", later)
		case word == "":
			return fail(at, scopeHint(p.rest()), "the objective goes on with %s", p.here())
		default:
			return fail(at, scopeHint(word), "the objective goes on with %q", word)
		}
	}
}

// during reads the name of a stage; at is the offset of the word during.
func (p *parser) during(o *Objective, at int) error {
	p.space()
	nameAt := p.pos
	name, err := p.name("during STAGE")
	if err != nil {
		return err
	}
	if slices.Contains(keywords, name) && p.src[nameAt] != '"' {
		return fail(nameAt, fmt.Sprintf("write during STAGE; a stage of that name is quoted: during %q", name), "during is followed by the word %s, not by a stage", name)
	}
	if o.During != "" {
		if o.At.During != o.At.Stage {
			return fail(at, "write one objective for each stage", "during stands twice")
		}
		if o.During != name {
			return fail(nameAt, "name one of them", "the objective names two stages, %s and %s", o.During, name)
		}
	}
	o.During, o.At.During = name, nameAt
	return nil
}

func scopeHint(word string) string {
	switch {
	case strings.HasPrefix(word, "{"):
		return "the selector follows the metric: p95{endpoint=NAME} < 200ms"
	case slices.Contains(unitNames(), word):
		return "a unit follows its number without a space"
	}
	if n := nearest(word, []string{"during", "including"}); n != "" {
		return "write " + n
	}
	return grammar
}
