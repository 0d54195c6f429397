//go:build !unix

package postgres

import (
	"context"
	"errors"
)

// A keeper has no way to start a server here.
type keeper struct {
	password string
	port     int
}

var (
	errPortTaken  = errors.New("the port was taken")
	errNotStarted = errors.New("a private PostgreSQL cannot be started on this system: name one that runs by its URL")
)

func newKeeper(string, string, map[string]string) (*keeper, error) { return nil, errNotStarted }

func (*keeper) start(context.Context) error { return errNotStarted }
func (*keeper) stop(string) error           { return errNotStarted }
func (*keeper) remove() error               { return errNotStarted }
