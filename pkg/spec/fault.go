package spec

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is one thing that is wrong in a spec: where, why, and what to write instead.
type Fault struct {
	// Pos of a fault in an override from the command line has the flag as its
	// file and no line.
	Pos
	Msg    string `json:"msg"`
	Hint   string `json:"hint,omitempty"`   // what to do about it, "" if the message says it all
	Source string `json:"source,omitempty"` // the source line, as it stands in the file
}

// String returns the fault on one line, in the form that editors can jump to.
func (f Fault) String() string {
	where := f.File
	if f.Line > 0 {
		where += ":" + strconv.Itoa(f.Line) + ":" + strconv.Itoa(f.Col)
	}
	return where + ": " + f.Msg
}

// Faults are all faults of a file, sorted by position.
type Faults []Fault

// Error names the first fault and counts the others.
func (fs Faults) Error() string {
	switch len(fs) {
	case 0:
		return "no faults"
	case 1:
		return fs[0].String()
	}
	return fmt.Sprintf("%s (and %d more)", fs[0], len(fs)-1)
}

// Format writes every fault with its source line, a caret and the hint. Control
// characters of the file never reach w.
func (fs Faults) Format(w io.Writer) error {
	var b strings.Builder
	for _, f := range fs {
		b.WriteString(f.String() + "\n")
		if f.Source != "" {
			number := strconv.Itoa(f.Line)
			text, caret := excerpt(f.Source, f.Col)
			margin := strings.Repeat(" ", len(number))
			fmt.Fprintf(&b, "  %s | %s\n", number, text)
			fmt.Fprintf(&b, "  %s | %s^\n", margin, caret)
		}
		if f.Hint != "" {
			b.WriteString("  hint: " + f.Hint + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// excerptWidth is how many characters of a source line are shown.
const excerptWidth = 120

// excerpt returns the part of line around the 1-based byte column col, fit for
// a terminal, and the blanks that put a caret under that column.
func excerpt(line string, col int) (text, blanks string) {
	at := utf8.RuneCountInString(line[:min(max(col-1, 0), len(line))])
	runes := []rune(line)
	from := 0
	if len(runes) > excerptWidth {
		from = min(max(0, at-excerptWidth/2), len(runes)-excerptWidth)
		runes = runes[from : from+excerptWidth]
	}
	var t, c strings.Builder
	for i, r := range runes {
		if r != '\t' && !unicode.IsPrint(r) {
			r = '\uFFFD'
		}
		t.WriteRune(r)
		if i < at-from {
			if r != '\t' {
				r = ' '
			}
			c.WriteRune(r)
		}
	}
	return t.String(), c.String()
}

// maxFaults bounds what a hostile file can make us say.
const maxFaults = 1000

// faultSet collects faults; the same fault found twice (through an alias, or
// in the file as such and again under a profile) is kept once.
type faultSet struct {
	list Faults
	seen map[Fault]bool
	// count is how many were added, those found before included.
	count int
	// note is added to the messages, to say under which profile they arise.
	note string
}

func (s *faultSet) add(f Fault) {
	s.count++
	if s.seen[f] {
		return
	}
	if s.seen == nil {
		s.seen = map[Fault]bool{}
	}
	s.seen[f] = true
	f.Msg += s.note
	s.list = append(s.list, f)
	if len(s.list) > maxFaults {
		panic(enough{})
	}
}

// enough is what add panics with when a file has too many faults to go on: the
// search for what was meant instead costs something for each. Parse recovers it.
type enough struct{}

// sorted returns the faults in file order, nil if there are none.
func (s *faultSet) sorted() Faults {
	if len(s.list) == 0 {
		return nil
	}
	sort.SliceStable(s.list, func(i, j int) bool {
		a, b := s.list[i].Pos, s.list[j].Pos
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Col < b.Col
	})
	if len(s.list) > maxFaults {
		last := &s.list[maxFaults]
		last.Msg, last.Hint = "the file has more faults, which are not shown", ""
	}
	return s.list
}

// quote returns s in quotes, shortened where it is too long to be read.
func quote(s string) string {
	const most = 60
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}
