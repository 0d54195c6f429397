package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// style is how a piece of text looks where colours are wanted.
type style string

// The styles, as parameters of the terminal's SGR sequence.
const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// A line is text in pieces of one style each.
type line []piece

type piece struct {
	style style
	text  string
}

func (l line) add(s style, text string) line { return append(l, piece{s, printable(text)}) }

// pad fills the line with blanks up to a column.
func (l line) pad(to int) line {
	if n := to - l.width(); n > 0 {
		return l.add(plain, strings.Repeat(" ", n))
	}
	return l
}

// width is in columns, for characters that take one each.
func (l line) width() (n int) {
	for _, p := range l {
		n += utf8.RuneCountInString(p.text)
	}
	return n
}

// render returns the first width columns of the line.
func (l line) render(width int, color bool) string {
	var b strings.Builder
	for _, p := range l {
		text := []rune(p.text)
		text = text[:min(len(text), max(width, 0))]
		width -= len(text)
		if !color || p.style == plain || len(text) == 0 {
			b.WriteString(string(text))
			continue
		}
		b.WriteString("\x1b[" + string(p.style) + "m" + string(text) + "\x1b[0m")
	}
	return strings.TrimRight(b.String(), " ")
}

// printable keeps a name from moving the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// widest bounds a frame: lines that run across a wide screen are hard to follow.
const widest = 100

// frame draws a view for a terminal of the given width.
func frame(v *view, width int) []line {
	width = min(width, widest)
	f := []line{heading(v, width), bar(v, width), chain(v, width), now(v)}
	f = append(f, crew(v, width)...)
	f = append(f, nil)
	f = append(f, figures(v, width)...)
	if len(v.promises) > 0 {
		f = append(f, nil)
		f = append(f, promises(v, width)...)
	}
	return f
}

func heading(v *view, width int) line {
	clock := fmt.Sprintf("%s of %s", clockText(v.progress.Elapsed), clockText(max(v.total, v.progress.Elapsed)))
	return line{}.add(bold, v.title).pad(width-utf8.RuneCountInString(clock)).add(dim, clock)
}

// done is the share of the run that is over, short of all while it goes on.
func (v *view) done() float64 {
	left := v.total - v.progress.Elapsed
	if left <= 0 {
		return 0.99
	}
	return min(0.99, float64(v.progress.Elapsed)/float64(v.total))
}

func bar(v *view, width int) line {
	share := fmt.Sprintf(" %3.0f %%", 100*v.done())
	room := max(0, width-utf8.RuneCountInString(share))
	full := int(math.Round(float64(room) * v.done()))
	return line{}.add(cyan, strings.Repeat("━", full)).add(dim, strings.Repeat("─", room-full)).add(dim, share)
}

// chain shows all stages, or only which one it is where there is no room.
func chain(v *view, width int) line {
	var l line
	for i, name := range v.stages {
		switch {
		case i < v.progress.Stage:
			l = l.add(green, "✓ ").add(dim, name)
		case i == v.progress.Stage:
			l = l.add(cyan, "● ").add(bold, name)
		default:
			l = l.add(dim, "○ ").add(dim, name)
		}
		l = l.add(plain, "   ")
	}
	if l.width()-3 > width {
		return line{}.add(cyan, "● ").add(bold, v.progress.Name).add(dim, fmt.Sprintf("  stage %d of %d", v.progress.Stage+1, len(v.stages)))
	}
	return l
}

// now says what the stage is doing.
func now(v *view) line {
	p := &v.progress
	level := fmt.Sprintf("%s users", countText(p.Level))
	if p.Open {
		level = rateText(p.Level)
	}
	var what string
	switch {
	case v.stopping:
		return line{}.add(yellow, "  stopping: waiting for what is in flight, then writing the report")
	case p.Shape == spec.Pause:
		what = "pause"
	case p.Moving && p.Left > 0:
		what = "on the way to " + level
	case p.Moving:
		what = "waiting for the set-up of its users"
	default:
		what = level
	}
	l := line{}.add(plain, "  "+what)
	if p.Left > 0 {
		l = l.add(dim, ", "+clockText(p.Left)+" left")
	}
	return l
}

// crew lists the active users of each persona.
func crew(v *view, width int) []line {
	l := line{}.add(dim, "  active")
	var out []line
	for i, name := range v.personas {
		n := 0
		if i < len(v.progress.Active) {
			n = v.progress.Active[i]
		}
		item := line{}.add(plain, "  "+name+" ").add(bold, countText(float64(n)))
		if l.width()+item.width() > width && l.width() > 8 {
			out = append(out, l)
			l = line{}.pad(8)
		}
		l = append(l, item...)
	}
	return append(out, l)
}

// figures is the table of what is measured: lately and since the start.
func figures(v *view, width int) []line {
	first, column, failed := 12, 14, errorsText(&v.sofar)
	if width < 60 {
		first, column, failed = 11, 12, countText(float64(v.sofar.Failures))
	}
	curve := width - first - 2*column - 3
	row := func(name, lately, all string, look style, history []float64) line {
		l := line{}.add(dim, "  "+name).
			pad(first+column-utf8.RuneCountInString(lately)).add(look, lately).
			pad(first+2*column-utf8.RuneCountInString(all)).add(plain, all)
		if len(history) > 0 && curve >= 10 {
			l = l.add(plain, "   ").add(cyan, spark(lastOf(history, curve)))
		}
		return l
	}
	quantile := func(q float64) (string, string) {
		return latencyText(v.recent.Response.Quantile(q)), latencyText(v.sofar.Response.Quantile(q))
	}
	p50, all50 := quantile(0.50)
	p95, all95 := quantile(0.95)
	p99, all99 := quantile(0.99)
	look := bold
	if v.recent.Failures > 0 {
		look = red
	}
	out := []line{
		line{}.pad(first+column-8).add(dim, "last "+countText(math.Round(v.span.Seconds()))+" s").
			pad(first+2*column-9).add(dim, "since 0:00"),
		row("requests", rateText(float64(v.recent.Requests)/v.span.Seconds()), countText(float64(v.sofar.Requests)), bold, v.rates),
		row("p50", p50, all50, bold, nil),
		row("p95", p95, all95, bold, v.p95s),
		row("p99", p99, all99, bold, nil),
		row("errors", shareText(v.recent.Failures, v.recent.Requests), failed, look, nil),
		row("in flight", countText(float64(v.progress.InFlight)), "", bold, nil),
	}
	if v.sofar.NotIssued > 0 {
		out = append(out, row("not sent", countText(float64(v.recent.NotIssued)), countText(float64(v.sofar.NotIssued)), red, nil))
	}
	return out
}

// promises lists the objectives of the stage that runs, and counts the others.
func promises(v *view, width int) []line {
	var out []line
	others, broken := 0, 0
	for _, p := range v.promises {
		if !p.current {
			others++
			if p.known && !p.holds && !math.IsNaN(p.value) {
				broken++
			}
			continue
		}
		mark, look, value := "·", dim, "judged at the end"
		switch {
		case p.known && !math.IsNaN(p.value):
			mark, look, value = "✗", red, valueText(p.value, p.unit)+" so far"
			if p.holds {
				mark, look = "✓", green
			}
		case p.known:
			value = "no data yet"
		}
		text := line{}.add(look, "  "+mark+" ").add(plain, p.text)
		at := width - utf8.RuneCountInString(value)
		if text.width()+1 > at {
			text = line{}.add(plain, text.render(max(0, at-2), false)+"… ")
			text[0].style = look
		}
		out = append(out, text.pad(at).add(look, value))
	}
	if others > 0 {
		l := line{}.add(dim, "    "+counted(others, "promise")+" on other stages")
		if broken > 0 {
			l = l.add(red, fmt.Sprintf(", %d broken", broken))
		}
		out = append(out, l)
	}
	return out
}

// plainLine is a view for a log.
func plainLine(v *view) string {
	p := &v.progress
	users := 0
	for _, n := range p.Active {
		users += n
	}
	clock := clockText(p.Elapsed) + "/" + clockText(max(v.total, p.Elapsed))
	if v.stopping {
		return fmt.Sprintf("%s stopping: %s in flight get a moment, then the report is written", clock, countText(float64(p.InFlight)))
	}
	doing := "hold"
	if p.Moving {
		doing = "moving"
	}
	q := func(x float64) string { return latencyText(v.recent.Response.Quantile(x)) }
	return printable(fmt.Sprintf("%s %s %s: %d users, %s, p50 %s, p95 %s, p99 %s, %s errors so far, %d in flight",
		clock, p.Name, doing, users,
		rateText(float64(v.recent.Requests)/v.span.Seconds()), q(0.50), q(0.95), q(0.99),
		errorsText(&v.sofar), p.InFlight))
}

// clockText writes a duration as 0:47 or 1:02:03.
func clockText(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

func countText(n float64) string { return slo.FormatValue(n, slo.Count) }

func rateText(perSecond float64) string {
	if math.IsNaN(perSecond) {
		return "–"
	}
	return slo.FormatValue(perSecond, slo.PerSecond)
}

// latencyText writes seconds; those of failed requests are beyond any number.
func latencyText(seconds float64) string { return valueText(seconds, slo.Seconds) }

func valueText(x float64, u slo.Unit) string {
	switch {
	case math.IsNaN(x):
		return "–"
	case math.IsInf(x, 0):
		return "∞"
	}
	return slo.FormatValue(x, u)
}

func shareText(n, of uint64) string {
	if of == 0 {
		return "–"
	}
	return slo.FormatValue(float64(n)/float64(of), slo.Ratio)
}

func errorsText(l *measure.Live) string {
	if l.Failures == 0 {
		return "0"
	}
	return fmt.Sprintf("%s (%s)", countText(float64(l.Failures)), shareText(l.Failures, l.Requests))
}

// spark draws values as a curve one row high; what has no finite value is a gap.
func spark(values []float64) string {
	const steps = "▁▂▃▄▅▆▇█"
	top := 0.0
	for _, x := range values {
		if !math.IsInf(x, 0) && x > top { // false for NaN
			top = x
		}
	}
	var b strings.Builder
	for _, x := range values {
		if math.IsNaN(x) || math.IsInf(x, 0) || top == 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune([]rune(steps)[int(math.Round(x/top*7))])
	}
	return b.String()
}
