package expr

import (
	"errors"
	"fmt"
)

// Error is a fault in an expression: Offset is the 0-based byte offset into the source text.
type Error struct {
	Offset    int
	Msg, Hint string
}

func (e *Error) Error() string { return e.Msg }

// ErrUnset is what errors.Is finds in the error of an evaluation that met an
// unset value where one is needed. For a header it means: leave it out.
var ErrUnset = errors.New("value is unset")

// fault is an error of an evaluation. Faults are made when a text is compiled,
// so that meeting one costs nothing, and never show a value: it may be secret.
type fault struct {
	msg   string
	unset bool
}

func (f *fault) Error() string { return f.msg }

func (f *fault) Is(target error) bool { return f.unset && target == ErrUnset }

func faultf(format string, args ...any) *fault {
	return &fault{msg: fmt.Sprintf(format, args...)}
}

// unset is the fault of an expression, named as it was written, that has no value.
func unset(name string) *fault { return &fault{msg: name + " is unset", unset: true} }
