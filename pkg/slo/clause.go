package slo

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// clauseOf is the part that a word begins.
var clauseOf = map[string]part{
	"of": inBaseline, "during": inDuring, "including": inRamps, "every": inEvery, "in": inShare, "within": inWithin, "after": inWithin,
}

// clauseNames are the parts as people write them.
var clauseNames = [parts]string{
	inBaseline: "of baseline", inDuring: "during", inRamps: "including ramps", inEvery: "every", inShare: "in P% of windows", inWithin: "within",
}

const clauseOrder = "the order is during STAGE including ramps every D in P% of windows within D after STAGE"

// clauses reads what follows the value. They stand in the order of the
// grammar, but of baseline, which may come last as well.
func (p *parser) clauses(o *Objective) error {
	last := inValue
	for {
		p.space()
		at := p.pos
		if p.end() {
			return nil
		}
		word := p.take(bareRune)
		clause, known := clauseOf[word]
		switch {
		case word == "":
			text, _, _ := strings.Cut(p.rest(), " ")
			return fail(at, clauseHint(text), "the objective goes on with %s", p.here())
		case !known:
			return fail(at, clauseHint(word), "the objective goes on with %q", word)
		case clause == last && clause == inDuring:
			return fail(at, "write one objective for each stage", "during stands twice")
		case clause == last && word != "after", clause == inBaseline && o.OfBaseline:
			return fail(at, "", "%s stands twice", clauseNames[clause])
		case clause < last && clause != inBaseline:
			return fail(at, clauseOrder, "%s comes before %s", clauseNames[clause], clauseNames[last])
		}
		p.at[clause] = at
		if clause != inBaseline {
			last = clause
		}
		if err := p.clause(o, clause, word, at); err != nil {
			return err
		}
	}
}

// clause reads the clause that begins with the word at the offset.
func (p *parser) clause(o *Objective, clause part, word string, at int) (err error) {
	switch clause {
	case inBaseline:
		o.OfBaseline = true
		return p.words("of", "write 110% of baseline", "baseline")
	case inDuring:
		return p.during(o, at)
	case inRamps:
		o.IncludingRamps = true
		return p.words("including", "write including ramps", "ramps")
	case inEvery:
		o.Every, err = p.span("every", "write every 10s")
		return err
	case inShare:
		o.InShare, err = p.share(o, at)
		return err
	}
	if word == "after" {
		return fail(at, "write within 30s after STAGE", "after STAGE needs the time in which to recover")
	}
	return p.recovery(o)
}

// words reads the words that must follow what was said.
func (p *parser) words(said, hint string, expected ...string) error {
	for _, word := range expected {
		p.space()
		at := p.pos
		if p.take(bareRune) != word {
			p.pos = at
			return fail(at, hint, "%s is followed by %s, not by %s", said, p.here(), word)
		}
		said += " " + word
	}
	return nil
}

// span reads the duration after a word.
func (p *parser) span(word, hint string) (time.Duration, error) {
	p.space()
	at := p.pos
	return spanOf(p.take(func(r rune) bool { return !isSpace(r) }), at, word, hint)
}

// during reads the name of a stage; at is the offset of the word during.
func (p *parser) during(o *Objective, at int) error {
	p.space()
	nameAt := p.pos
	name, err := p.stage("during")
	if err != nil {
		return err
	}
	if o.During != "" && o.During != name {
		return fail(nameAt, "name one of them", "the objective names two stages, %s and %s", o.During, name)
	}
	o.During, o.At.During = name, nameAt
	return nil
}

// stage reads the name of a stage after a word.
func (p *parser) stage(word string) (string, error) {
	at := p.pos
	name, err := p.name(word + " STAGE")
	if err != nil {
		return "", err
	}
	if slices.Contains(keywords, name) && p.src[at] != '"' {
		return "", fail(at, fmt.Sprintf("write %s STAGE; a stage of that name is quoted: %s %q", word, word, name), "%s is followed by the word %s, not by a stage", word, name)
	}
	return name, nil
}

// share reads the 95% of windows of `in 95% of windows`; at is the offset of in.
func (p *parser) share(o *Objective, at int) (float64, error) {
	const hint = "write in 95% of windows"
	p.space()
	valueAt := p.pos
	token := p.take(func(r rune) bool { return !isSpace(r) })
	if token == "" || !isNumeral(rune(token[0])) {
		return 0, fail(valueAt, hint, "in needs a percentage of windows")
	}
	q, c := parseQuantity(token)
	if c != nil {
		return 0, fail(valueAt+c.offset, c.hint, "%s", c.msg)
	}
	v, c := q.keep()
	switch {
	case q.of == Count && q.value.Sign() != 0:
		return 0, fail(valueAt, "write in "+token+"% of windows", "a share of windows is a percentage, and %s has no unit", token)
	case q.value.Sign() == 0:
		return 0, fail(valueAt, hint, "none of the windows is no promise")
	case q.of != Ratio:
		return 0, fail(valueAt, hint, "a share of windows is a percentage, and %s is not", token)
	case c != nil:
		return 0, fail(valueAt, c.hint, "%s", c.msg)
	case v > 1:
		return 0, fail(valueAt, hint, "%s of windows is more than all of them", token)
	}
	if err := p.words("in "+token, "write in "+token+" of windows", "of", "windows"); err != nil {
		return 0, err
	}
	if o.Every == 0 {
		return 0, fail(at, "write every 10s in "+token+" of windows", "there are no windows without their length")
	}
	if v == 1 {
		return 0, nil // all of them is what every says by itself
	}
	return v, nil
}

// recovery reads the 30s after spike of `within 30s after spike`.
func (p *parser) recovery(o *Objective) (err error) {
	if o.Within, err = p.span("within", "write within 30s after STAGE"); err != nil {
		return err
	}
	said := "within " + spanText(o.Within)
	if err := p.words(said, "write "+said+" after STAGE", "after"); err != nil {
		return err
	}
	p.space()
	o.At.After = p.pos
	o.After, err = p.stage("after")
	return err
}

func clauseHint(word string) string {
	switch {
	case strings.HasPrefix(word, "{"):
		return "the selector follows the metric: p95{endpoint=NAME} < 200ms"
	case slices.Contains(unitNames(), word):
		return "a unit follows its number without a space"
	}
	if n := nearest(word, []string{"during", "including", "every", "within"}); n != "" {
		return "write " + n
	}
	return grammar
}
