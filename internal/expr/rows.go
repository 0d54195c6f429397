package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// Table is a table of a seed. Rows of the tables after it may refer to its rows.
type Table struct {
	Index   int   // by which Rows.Column knows it
	Count   int64 // rows, at least 1
	Columns []Column
	// Err, unless nil, is why it cannot be referred to; an *Error may bring its hint.
	Err error
}

// Column is a column of a Table, by its index there.
type Column struct {
	Name     string
	Fleeting bool // see Text.Fleeting
}

// rowNumber is n.
type rowNumber struct{}

func (rowNumber) eval(c *Ctx) (Value, error) { return Integer(c.Row), nil }
func (rowNumber) kind() Kind                 { return Int }

// drawnRow is the row of pick(table): its number, from 1.
type drawnRow struct {
	draw  draw
	count int64
}

func (n drawnRow) eval(c *Ctx) (Value, error) {
	return Integer(1 + int64(below(n.draw.bits(c), uint64(n.count)))), nil
}
func (drawnRow) kind() Kind { return Int }

// cell is a column of a row that was made before.
type cell struct {
	table, column int
	count         int64
	row           node // its number, from 1; wraps around
	whole         *fault
}

func (n *cell) eval(c *Ctx) (Value, error) {
	i, err := whole(n.row, c, n.whole)
	if err != nil {
		return Value{}, err
	}
	if i = (i%n.count - 1) % n.count; i < 0 {
		i += n.count
	}
	if c.Rows == nil {
		return Value{}, errNoRows
	}
	v, err := c.Rows.Column(n.table, n.column, i+1)
	return answered(v, err)
}
func (*cell) kind() Kind { return Nil }

// found is lookup(table, column, value).want.
type found struct {
	table, column, want string
	v                   node
	unset               *fault
}

func (n *found) eval(c *Ctx) (Value, error) {
	v, err := n.v.eval(c)
	switch {
	case err != nil:
		return Value{}, err
	case v.kind == Nil:
		return Value{}, n.unset
	case c.Rows == nil:
		return Value{}, errNoRows
	}
	v, err = c.Rows.Lookup(n.table, n.column, v, n.want)
	return answered(v, err)
}
func (*found) kind() Kind { return Nil }

// hash is bcrypt(x, cost).
type hash struct {
	x          node
	cost       int
	unset, big *fault
}

func (n *hash) eval(c *Ctx) (Value, error) {
	v, err := n.x.eval(c)
	switch {
	case err != nil:
		return Value{}, err
	case v.kind == Nil:
		return Value{}, n.unset
	case c.Rows == nil:
		return Value{}, errNoRows
	}
	password := v.Text()
	if len(password) > maxPassword {
		return Value{}, n.big
	}
	s, err := c.Rows.Bcrypt(password, n.cost)
	return answered(Str(s), err)
}
func (*hash) kind() Kind { return String }

var errNoRows = faultf("no rows are made here")

// answered returns what Rows answered. Its errors are kept apart from those of
// the machine, so that they reach the caller as they are.
func answered(v Value, err error) (Value, error) {
	if err != nil {
		return Value{}, &rowsError{err}
	}
	return v, nil
}

// rowsError is an error of Rows.
type rowsError struct{ err error }

func (e *rowsError) Error() string { return e.err.Error() }
func (e *rowsError) Unwrap() error { return e.err }

// What bcrypt takes: it reads no more than 72 bytes of a password, and each
// step of the cost doubles the work, which at 15 is seconds for one hash.
const (
	maxPassword = 72
	minCost     = 4
	maxCost     = 15
)

// rowName compiles a name that stands alone where it means something else in
// rows than under load; own is false if it does not.
func (l *lowering) rowName(n *ast.IdentifierNode) (read node, own bool, err error) {
	names := l.names()
	if !names.InRows {
		return nil, false, nil
	}
	if n.Value == "n" {
		return rowNumber{}, true, nil
	}
	if _, ok := names.Tables[n.Value]; ok {
		return nil, true, l.fail(n, "name a column: "+l.reference(n.Value)+".COLUMN", "%s is a table of the seed, not a value", n.Value)
	}
	_, isSlot := names.Slots[n.Value]
	_, isFile := names.Rows[n.Value]
	if isSlot || isFile || n.Value == "iteration" {
		return nil, true, l.noUser(n, n.Value)
	}
	return nil, false, nil
}

// noUser refuses what only users have.
func (l *lowering) noUser(n ast.Node, name string) error {
	return l.fail(n, "write n, a constant, a draw, or a column of a table before", "a row of a seed has no user, and so no %s", name)
}

// onlyInRows refuses what only exists in rows of a seed.
func (l *lowering) onlyInRows(n ast.Node, name, hint string) error {
	if l.names().InRows {
		return nil
	}
	return l.fail(n, hint, "%s exists only in rows of a seed", name)
}

// made lists the tables that can be referred to, in no order.
func (l *lowering) made() []string {
	var names []string
	for name, t := range l.names().Tables {
		if t.Err == nil {
			names = append(names, name)
		}
	}
	return names
}

// reference is how a row of the table is written.
func (l *lowering) reference(table string) string {
	if t := l.names().Tables[table]; t.Err == nil && t.Count > 1 {
		return "pick(" + table + ", n)"
	}
	return table
}

// ofRow reports whether n asks for a column of a row: lookup(…).COLUMN, or
// pick(TABLE).COLUMN.
func (l *lowering) ofRow(n *ast.MemberNode) bool {
	call, ok := n.Node.(*ast.CallNode)
	if !ok {
		return false
	}
	switch name, _ := callee(call); name {
	case "lookup":
		return true
	case "pick":
		return len(call.Arguments) > 0 && l.table(call.Arguments[0]) != ""
	}
	return false
}

// table returns the table that an argument names, "" if it names none.
func (l *lowering) table(n ast.Node) string {
	id, ok := n.(*ast.IdentifierNode)
	if !ok {
		return ""
	}
	if _, ok := l.names().Sets[id.Value]; ok {
		return ""
	}
	if _, ok := l.names().Tables[id.Value]; !ok {
		return ""
	}
	return id.Value
}

// columnOfRow compiles lookup(…).COLUMN and pick(TABLE).COLUMN.
func (l *lowering) columnOfRow(n *ast.MemberNode) (node, error) {
	call := n.Node.(*ast.CallNode)
	name, _ := callee(call)
	want, ok := n.Property.(*ast.StringNode)
	if !ok {
		return nil, l.fail(n, "write "+name+"(…).COLUMN", "what follows %s(…) is the name of a column", name)
	}
	if err := l.checkCall(call, name); err != nil {
		return nil, err
	}
	if name == "lookup" {
		return l.lookup(call, want.Value)
	}
	table := l.table(call.Arguments[0])
	if err := l.onlyInRows(call.Arguments[0], "the table "+table, ""); err != nil {
		return nil, err
	}
	if t := l.names().Tables[table]; t.Err != nil {
		return nil, l.fail(call.Arguments[0], hint(t.Err), "%s", t.Err.Error())
	}
	if len(call.Arguments) == 1 {
		d, err := l.draws("pick", call)
		if err != nil {
			return nil, err
		}
		return l.cell(want, table, drawnRow{d, l.names().Tables[table].Count})
	}
	row, err := l.lower(call.Arguments[1])
	if err != nil {
		return nil, err
	}
	if c, ok := row.(constant); ok {
		if _, ok := c.v.Int(); !ok {
			return nil, l.fail(call.Arguments[1], "write pick("+table+", n)", "the number of a row is a whole number")
		}
	}
	return l.cell(want, table, row)
}

// onlyRow compiles TABLE.COLUMN, which a table of one row allows.
func (l *lowering) onlyRow(n *ast.MemberNode, column *ast.StringNode, table string) (node, error) {
	if err := l.onlyInRows(n, "the table "+table, ""); err != nil {
		return nil, err
	}
	t := l.names().Tables[table]
	switch {
	case t.Err != nil:
		return nil, l.fail(n.Node, hint(t.Err), "%s", t.Err.Error())
	case t.Count > 1:
		return nil, l.fail(n.Node, fmt.Sprintf("write pick(%s, n).%s for row n, or pick(%s).%[2]s for any", table, column.Value, table), "%s has %d rows", table, t.Count)
	}
	return l.cell(column, table, constant{Integer(1)})
}

func (l *lowering) cell(column *ast.StringNode, table string, row node) (node, error) {
	t := l.names().Tables[table]
	at := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column.Value })
	if at < 0 {
		known := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			known[i] = c.Name
		}
		hint := "give it a value there; its rows have " + strings.Join(known[:min(len(known), 12)], ", ")
		if near := Nearest(column.Value, known); near != "" {
			hint = suggest(near)
		}
		return nil, l.fail(column, hint, "the rows of %s have no column %s", table, column.Value)
	}
	l.fleeting = l.fleeting || t.Columns[at].Fleeting
	return &cell{t.Index, at, t.Count, row, faultf("pick(%s, n) takes a whole number", table)}, nil
}

func (l *lowering) lookup(n *ast.CallNode, want string) (node, error) {
	if err := l.onlyInRows(n, "lookup()", ""); err != nil {
		return nil, err
	}
	var names [2]string
	for i := range names {
		s, ok := n.Arguments[i].(*ast.StringNode)
		if !ok || s.Value == "" {
			return nil, l.fail(n.Arguments[i], "write "+signatures["lookup"].usage, "the table and the column of lookup are written out, in quotes")
		}
		names[i] = s.Value
	}
	v, err := l.lower(n.Arguments[2])
	if err != nil {
		return nil, err
	}
	none := unset(argument(n, 2))
	if c, ok := v.(constant); ok && c.v.kind == Nil {
		return nil, l.fail(n.Arguments[2], "", "%s", none.msg)
	}
	l.fleeting = true
	return &found{names[0], names[1], want, v, none}, nil
}

func (l *lowering) bcrypt(n *ast.CallNode) (node, error) {
	if err := l.onlyInRows(n, "bcrypt()", ""); err != nil {
		return nil, err
	}
	x, err := l.lower(n.Arguments[0])
	if err != nil {
		return nil, err
	}
	none := unset(argument(n, 0))
	big := faultf("bcrypt reads %d bytes of a password at most, and %s is longer", maxPassword, argument(n, 0))
	if c, ok := x.(constant); ok {
		switch {
		case c.v.kind == Nil:
			return nil, l.fail(n.Arguments[0], "", "%s", none.msg)
		case len(c.v.Text()) > maxPassword:
			return nil, l.fail(n.Arguments[0], "", "%s", big.msg)
		}
	}
	cost, err := l.lower(n.Arguments[1])
	if err != nil {
		return nil, err
	}
	c, ok := cost.(constant)
	i, whole := c.v.Int()
	if !ok || !whole || i < minCost || i > maxCost {
		return nil, l.fail(n.Arguments[1], "write 12, or what the system itself uses", "the cost of bcrypt is a whole number from %d to %d", minCost, maxCost)
	}
	l.fleeting = true
	return &hash{x, int(i), none, big}, nil
}
