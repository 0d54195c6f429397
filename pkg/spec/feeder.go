package spec

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tollgate/internal/expr"
)

// What a file of rows may hold at most.
const (
	maxRows    = 5_000_000
	maxColumns = 1000
)

// feed is a feeder in the making.
type feed struct {
	*Feeder
	file  *file
	table *table // nil after a fault
}

// isFeeder tells a file of rows from a set: the weights of a set are numbers.
func isFeeder(n *node) bool {
	csv := n.get("csv")
	return csv != nil && csv.kind != intKind
}

// feeder decodes a file of rows, and makes its columns known to expressions.
func (d *decoder) feeder(name string, key, n *node) {
	f := &feed{Feeder: &Feeder{Name: name, Pos: key.pos()}}
	d.feeds = append(d.feeds, f)
	d.names.Rows[name] = f.column(d)
	d.keys(n, feederObject)
	if order := n.get("order"); order.isSet() {
		orders := []string{"shuffle", "sequence", "once"}
		f.Order = FeedOrder(max(slices.Index(orders, d.choice(order, "order", orders...)), 0))
	}
	at := n.get("csv")
	if f.file = d.content(at, "the path of a CSV file"); f.file == nil {
		return
	}
	if f.file.table == nil {
		f.file.table = readTable(d.files.shown(f.file.name), f.file.data)
	}
	if bad := f.file.table.bad; bad != nil {
		d.faults.add(*bad)
		return
	}
	f.table = f.file.table
}

// column returns how an expression finds a column of f: each that is referred
// to gets a slot of its own.
func (f *feed) column(d *decoder) func(string) (int, error) {
	return func(column string) (int, error) {
		for _, c := range f.Columns {
			if c.Name == column {
				return c.Slot, nil
			}
		}
		if f.table != nil && !slices.Contains(f.table.columns, column) {
			return 0, &expr.Error{Msg: fmt.Sprintf("%s has no column %s", f.Name, column), Hint: suggest(column, f.table.columns)}
		}
		if len(d.slots) >= maxSlots {
			return 0, &expr.Error{Msg: fmt.Sprintf("more than %d names of values that a user can hold", maxSlots)}
		}
		slot := len(d.slots)
		d.slots = append(d.slots, f.Name+"."+column)
		d.fed[slot] = f.Feeder
		f.Columns = append(f.Columns, FeedColumn{Name: column, Slot: slot})
		return slot, nil
	}
}

// table is a CSV file that was found sound (RFC 4180, its first row the header).
type table struct {
	columns []string
	rows    int
	bad     *Fault
}

// byteOrderMark is what some programs begin a file in UTF-8 with.
const byteOrderMark = "\ufeff"

// records returns a reader of a CSV file's rows.
func records(data string) *csv.Reader {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(data, byteOrderMark)))
	r.ReuseRecord = true
	return r
}

// readTable looks through a CSV file. A fault does not show a row: what tests
// are fed with may be passwords.
func readTable(shown, data string) *table {
	refuse := func(line, col int, hint, format string, args ...any) *table {
		return &table{bad: &Fault{Pos: Pos{File: shown, Line: line, Col: col}, Msg: fmt.Sprintf(format, args...), Hint: hint}}
	}
	if at := invalidUTF8(data); at >= 0 {
		before := data[:at]
		return refuse(strings.Count(before, "\n")+1, at-strings.LastIndexByte(before, '\n'), "save it as UTF-8", "the file is not UTF-8 text")
	}
	r := records(data)
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return refuse(1, 1, "write the names of the columns into the first row", "the file is empty")
	}
	t := &table{columns: slices.Clone(header)}
	for i := 0; err == nil && i < len(t.columns); i++ {
		line, col := r.FieldPos(i)
		switch name := t.columns[i]; {
		case len(t.columns) > maxColumns:
			return refuse(line, col, "", "%d columns, and a file of rows has at most %d", len(t.columns), maxColumns)
		case len(t.columns) == 1 && strings.ContainsAny(name, ";\t"):
			return refuse(line, col, "separate the columns by commas", "%s cannot be the name of a column", quote(name))
		case strings.TrimSpace(name) != name && valueName.MatchString(strings.TrimSpace(name)):
			return refuse(line, col, "remove the blanks around it", "%s cannot be the name of a column", quote(name))
		case !valueName.MatchString(name):
			return refuse(line, col, "the first row names the columns: letters, digits and _, and no digit first", "%s cannot be the name of a column", quote(name))
		case slices.Contains(t.columns[:i], name):
			return refuse(line, col, "rename one of them", "two columns are called %s", name)
		}
	}
	for err == nil {
		if _, err = r.Read(); err == nil {
			t.rows++
		}
		if t.rows > maxRows {
			line, col := r.FieldPos(0)
			return refuse(line, col, "", "more than %d rows", maxRows)
		}
	}
	var bad *csv.ParseError
	switch {
	case errors.As(err, &bad) && errors.Is(bad.Err, csv.ErrFieldCount):
		return refuse(bad.StartLine, 1, "give every row as many fields as the first one; a field with a comma in it is quoted", "this row does not have %s", counted(len(t.columns), "field"))
	case errors.As(err, &bad) && errors.Is(bad.Err, csv.ErrQuote):
		return refuse(bad.Line, max(bad.Column, 1), `a field with a quote in it is quoted as a whole, and its quotes are written twice: "a ""b"" c"`, "a quote that stands wrong, or is never closed")
	case errors.As(err, &bad):
		return refuse(bad.Line, max(bad.Column, 1), `a field with a quote in it is quoted as a whole, and its quotes are written twice: "a ""b"" c"`, "not CSV: %v", bad.Err)
	case t.rows == 0:
		return refuse(1, 1, "write rows below the names of the columns", "the file has no row")
	}
	return t
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// fill reads the rows of the columns that the spec refers to.
func (f *feed) fill() {
	if f.table == nil {
		return
	}
	places := make([]int, len(f.Columns))
	for i, c := range f.Columns {
		places[i] = slices.Index(f.table.columns, c.Name)
	}
	f.Rows = make([][]expr.Value, f.table.rows)
	if len(places) == 0 {
		return
	}
	cells := make([]expr.Value, f.table.rows*len(places))
	r := records(f.file.data)
	_, _ = r.Read() // the header; readTable has found no fault
	for i := range f.Rows {
		record, err := r.Read()
		if err != nil {
			return
		}
		row := cells[:len(places):len(places)]
		cells = cells[len(places):]
		for j, at := range places {
			row[j] = expr.Str(strings.Clone(record[at])) // a row may be much larger than what is used of it
		}
		f.Rows[i] = row
	}
}

// deal settles when each persona draws a row of which feeder: once per user if
// its values or anything but its tasks refer to it, else once per task that
// does, and once per any task if the persona's headers do.
func (d *decoder) deal(s *Spec) {
	for _, f := range d.feeds {
		s.Feeders = append(s.Feeders, f.Feeder)
	}
	if len(d.feeds) == 0 {
		return
	}
	for _, p := range s.Personas {
		perUser, everywhere := slotSet{}, slotSet{}
		for _, v := range p.Values {
			perUser.add(v.Value)
		}
		for _, h := range p.Headers {
			everywhere.add(h.Value)
		}
		once := p.once()
		for _, st := range once {
			perUser.addAll(s.mentions(st))
		}
		if len(once) > 0 { // its requests carry the headers as well
			perUser.addAll(everywhere)
		}
		p.Feeds = d.feeders(perUser)
		for _, t := range p.Tasks {
			own := slotSet{}
			own.addAll(everywhere)
			for _, st := range t.Steps {
				own.addAll(s.mentions(st))
			}
			t.Feeds = slices.DeleteFunc(d.feeders(own), func(f *Feeder) bool { return slices.Contains(p.Feeds, f) })
		}
	}
	for _, run := range []struct {
		name  string
		steps []*Step
	}{{Before, s.Before}, {After, s.After}} {
		for _, st := range run.steps {
			d.refuseFeeds(run.name, st)
		}
	}
}

// refuseFeeds reports the rows that a step of the run itself refers to.
func (d *decoder) refuseFeeds(where string, st *Step) {
	refuse := func(n *node, slots []int) {
		for _, slot := range slots {
			if f := d.fed[slot]; f != nil {
				d.faultAt(n, mention(n.text, d.slots[slot]), "write a value, or do it in on_start", "%s has no user, so it cannot draw a row of %s", where, f.Name)
			}
		}
	}
	for _, t := range st.all() {
		for _, p := range d.parts[t] {
			refuse(p.node, p.slots)
		}
	}
	if st.When != nil {
		refuse(d.conds[st.When], st.When.Slots())
	}
}

// feeders returns the feeders that any of the slots belong to, in file order.
func (d *decoder) feeders(slots slotSet) []*Feeder {
	var all []*Feeder
	for _, f := range d.feeds {
		if slices.ContainsFunc(f.Columns, func(c FeedColumn) bool { return slots[c.Slot] }) {
			all = append(all, f.Feeder)
		}
	}
	return all
}

// mentions returns every slot that a request of the step reads, but for the
// headers of its persona.
func (s *Spec) mentions(st *Step) slotSet {
	slots := slotSet{}
	for _, t := range st.all() {
		slots.add(t)
	}
	for _, h := range s.TargetOf(st.Endpoint.On).Headers {
		slots.add(h.Value)
	}
	if st.When != nil {
		for _, slot := range st.When.Slots() {
			slots[slot] = true
		}
	}
	return slots
}

// all returns every text of a step and of its endpoint.
func (st *Step) all() []*expr.Text {
	texts := st.texts()
	for _, v := range st.Values {
		texts = append(texts, v.Value)
	}
	for _, h := range st.Endpoint.Headers {
		texts = append(texts, h.Value)
	}
	return texts
}

func (s slotSet) add(t *expr.Text) {
	if t == nil {
		return
	}
	for _, slot := range t.Slots() {
		s[slot] = true
	}
}

func (s slotSet) addAll(other slotSet) {
	for slot := range other {
		s[slot] = true
	}
}
