package probe

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// This file reads the text format of Prometheus, version 0.0.4:
//
//	# TYPE http_requests_total counter
//	http_requests_total{method="post",code="200"} 1027 1395066363000
//
// One line that is not of the format makes the whole page none: what could be
// said of the rest would be a guess.

// found is what the samples that were meant add up to.
type found struct {
	samples int
	value   float64
	counter bool // by the page's own TYPE
	others  int  // samples of the metric with other labels
}

// mostOfLine is how long a line may be, in bytes.
const mostOfLine = 64 << 10

// sum adds up the samples of a page that are meant.
func sum(page io.Reader, want wanted) (out found, err error) {
	lines := bufio.NewReaderSize(page, mostOfLine)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return found{}, fmt.Errorf("line %d: %w", n, errEndless)
		case err != nil && err != io.EOF:
			return found{}, unreached(err)
		}
		if fault := out.add(bytes.TrimSuffix(line, []byte("\n")), want); fault != nil {
			return found{}, fmt.Errorf("line %d: %w", n, fault)
		}
		if err == io.EOF {
			return out, nil
		}
	}
}

// add takes a line in.
func (f *found) add(line []byte, want wanted) error {
	line = blanks(line)
	switch {
	case len(line) == 0:
		return nil
	case line[0] == '#':
		f.comment(line[1:], want)
		return nil
	}
	name, rest := word(line, true)
	if len(name) == 0 {
		return errors.New("a sample without a name")
	}
	matching := 0
	var fault error
	if rest = blanks(rest); len(rest) > 0 && rest[0] == '{' {
		if matching, rest, fault = labels(rest[1:], want); fault != nil {
			return fault
		}
	} else {
		matching = want.without(nil)
	}
	value, moment, ok := values(rest)
	if !ok {
		return errors.New("a sample is a name, labels in braces, a value, and at most a time")
	}
	v, err := number(value)
	if err != nil {
		return err
	}
	if len(moment) > 0 {
		if _, err := strconv.ParseInt(string(moment), 10, 64); err != nil {
			return fmt.Errorf("%.40q is no time in milliseconds", moment)
		}
	}
	switch {
	case string(name) != want.metric:
	case matching != len(want.labels):
		f.others++
	default:
		f.samples++
		f.value += v
	}
	return nil
}

// comment reads the type of the metric; all other comments are for people.
func (f *found) comment(line []byte, want wanted) {
	if !bytes.HasPrefix(blanks(line), []byte("TYPE")) {
		return
	}
	fields := bytes.Fields(line)
	if len(fields) != 3 || string(fields[0]) != "TYPE" {
		return
	}
	name := string(fields[1])
	switch string(fields[2]) {
	case "counter":
		f.counter = f.counter || want.metric == name
	case "histogram", "summary":
		f.counter = f.counter || want.metric == name+"_count" || want.metric == name+"_sum" || want.metric == name+"_bucket"
	}
}

// without counts the labels that are wanted empty and are not there: to the
// format, an empty label and none are the same.
func (w wanted) without(seen map[string]bool) (n int) {
	for name, value := range w.labels {
		if value == "" && !seen[name] {
			n++
		}
	}
	return n
}

// labels reads what stands between braces, and counts those that are wanted.
func labels(text []byte, want wanted) (matching int, rest []byte, err error) {
	var seen map[string]bool
	var value []byte
	for {
		text = blanks(text)
		if len(text) > 0 && text[0] == '}' {
			return matching + want.without(seen), text[1:], nil
		}
		var name []byte
		name, text = word(text, false)
		text = blanks(text)
		if len(name) == 0 || len(text) == 0 || text[0] != '=' {
			return 0, nil, errors.New(`labels are written name="value"`)
		}
		text = blanks(text[1:])
		if len(text) == 0 || text[0] != '"' {
			return 0, nil, errors.New("the value of a label stands in quotes")
		}
		if value, text, err = quoted(value[:0], text[1:]); err != nil {
			return 0, nil, err
		}
		if asked, ok := want.labels[string(name)]; ok {
			if seen[string(name)] {
				return 0, nil, fmt.Errorf("label %s stands twice", name)
			}
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[string(name)] = true
			if asked == string(value) {
				matching++
			}
		}
		text = blanks(text)
		switch {
		case len(text) > 0 && text[0] == ',':
			text = text[1:]
		case len(text) == 0 || text[0] != '}':
			return 0, nil, errors.New("labels end with a brace")
		}
	}
}

// quoted reads a label's value up to its closing quote, and appends it to b.
func quoted(b, text []byte) (value, rest []byte, err error) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '"':
			return b, text[i+1:], nil
		case c != '\\':
			b = append(b, c)
			continue
		}
		if i++; i == len(text) {
			break
		}
		switch text[i] {
		case 'n':
			b = append(b, '\n')
		case '\\', '"':
			b = append(b, text[i])
		default: // an escape that means nothing is what it looks like
			b = append(b, '\\', text[i])
		}
	}
	return nil, nil, errors.New("a label's value has no closing quote")
}

// values splits what follows a sample's name and labels.
func values(text []byte) (value, moment []byte, ok bool) {
	fields := bytes.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' })
	switch len(fields) {
	case 1:
		return fields[0], nil, true
	case 2:
		return fields[0], fields[1], true
	}
	return nil, nil, false
}

// word reads a name: of a metric, which may have colons, or of a label.
func word(text []byte, metric bool) (name, rest []byte) {
	for i, c := range text {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || metric && c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return text[:i], text[i:]
		}
	}
	return text, nil
}

func blanks(text []byte) []byte { return bytes.TrimLeft(text, " \t") }
