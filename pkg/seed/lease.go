package seed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// lease is our hold on the database: a row with a token that only we know,
// and a beat that says that we live. Every transaction that writes asks for the
// token once more (fence), so whoever slept while another run took over
// commits nothing.
type lease struct {
	token  string
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the heart has stopped
}

// acquireWithin bounds an attempt to take a database: a holder in the middle
// of a transaction is a holder.
const acquireWithin = 1500 * time.Millisecond

// Acquire takes the database for this run, or returns ErrRefused naming who
// has it. A holder that has not been heard of for 30 s is dead. The context it
// returns ends, with ErrLost as its cause, when the database is no longer
// ours: the run must stop then.
func (d *Database) Acquire(ctx context.Context) (context.Context, error) {
	if err := d.Marked(ctx); err != nil {
		return nil, err
	}
	bounded, stop := context.WithTimeout(ctx, acquireWithin)
	defer stop()
	token := make([]byte, 16)
	_, _ = rand.Read(token) // never fails
	l := &lease{token: hex.EncodeToString(token) + ourPlace(), done: make(chan struct{})}
	sent := time.Now()
	dead, err := d.deadHolder(bounded)
	var n int64
	if err == nil {
		n, err = d.work.exec(bounded, `INSERT INTO tollgate.lease AS l (token, run, holder, since, beat)
		VALUES ($1::text, $2::text, $3::text, clock_timestamp(), clock_timestamp())
		ON CONFLICT (one) DO UPDATE SET token = excluded.token, run = excluded.run, holder = excluded.holder, since = excluded.since, beat = clock_timestamp()
		WHERE l.beat < clock_timestamp() - $4::text::interval OR l.token = $5::text`,
			l.token, d.opts.RunID, d.opts.Holder, interval(d.opts.expiry), dead)
	}
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		n, err = 0, nil // the row is locked: somebody is writing under it
	}
	switch {
	case err != nil && refusal(err) != nil:
		return nil, d.failf(ErrRefused, err, "give the role the rights that docs/database.md lists", "%s: its lease cannot be written", d.at.where)
	case err != nil:
		return nil, d.failf(ErrUnreachable, err, "", "%s", d.at.where)
	case n == 0:
		return nil, d.held(ctx)
	}
	held, cancel := context.WithCancelCause(ctx)
	l.cancel = cancel
	d.mu.Lock()
	d.lease = l
	d.mu.Unlock()
	go d.keep(held, l, sent)
	return held, nil
}

// deadHolder returns the token of the holder if that is a process of this
// machine which has ended, "" if it is not or if nobody knows.
func (d *Database) deadHolder(ctx context.Context) (string, error) {
	var token string
	err := d.work.scan(ctx, &token, `SELECT to_json(token) FROM tollgate.lease`)
	if errors.Is(err, errNoRow) {
		return "", nil
	}
	if _, place, ok := strings.Cut(token, placeMark); err != nil || !ok || !ended(place) {
		return "", err
	}
	return token, nil
}

// held says who has the database.
func (d *Database) held(ctx context.Context) error {
	var who struct {
		Run, Holder string
		Age         float64
	}
	err := d.work.scan(ctx, &who, `SELECT json_build_object('run', run, 'holder', holder,
		'age', extract(epoch FROM clock_timestamp() - beat)) FROM tollgate.lease`)
	if errors.Is(err, errNoRow) {
		return d.failf(ErrRefused, nil, "try again", "%s was held by another run until a moment ago", d.at.where)
	}
	if err != nil {
		return d.failf(ErrUnreachable, err, "", "%s", d.at.where)
	}
	return d.failf(ErrRefused, nil, fmt.Sprintf("wait for it to end; if it is dead, the database is free %v after its last sign of life", d.opts.expiry),
		"%s is held by run %s on %s, last heard of %.0f s ago", d.at.where, who.Run, who.Holder, max(who.Age, 0))
}

// keep beats until ctx ends, on a connection of its own, and cancels ctx when
// the lease is lost. seen is when the last beat that the database has was sent:
// our count of its age is never behind the database's.
func (d *Database) keep(ctx context.Context, l *lease, seen time.Time) {
	defer close(l.done)
	s := &session{at: d.at, seen: d.work.seen}
	defer s.close()
	lost := func(why string) {
		l.cancel(d.failf(ErrLost, nil, "", "%s: %s", d.at.where, why))
	}
	next := time.NewTimer(d.opts.beat)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		sent := time.Now()
		bounded, stop := context.WithDeadline(ctx, seen.Add(d.opts.expiry))
		n, err := s.exec(bounded, `UPDATE tollgate.lease SET beat = clock_timestamp() WHERE token = $1::text`, l.token)
		stop()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && n == 0:
			lost("another run took it over")
			return
		case err == nil:
			seen = sent
			next.Reset(d.opts.beat)
		case time.Since(seen) >= d.opts.expiry:
			lost(fmt.Sprintf("it has been away for %v", d.opts.expiry))
			return
		default:
			s.close()
			next.Reset(d.opts.beat / 5)
		}
	}
}

// Holds returns an error, ErrLost where that is known, unless the database is
// still ours at this moment. The context of Acquire ends at the next beat only.
func (d *Database) Holds(ctx context.Context) error {
	token, err := d.token()
	if err != nil {
		return err
	}
	var n int
	err = d.work.scan(ctx, &n, `SELECT count(*) FROM tollgate.lease WHERE token = $1::text`, token)
	switch {
	case err != nil:
		return d.failf(ErrUnreachable, err, "", "%s: whether it is still ours cannot be told", d.at.where)
	case n == 0:
		return d.failf(ErrLost, nil, "", "%s: another run took it over", d.at.where)
	}
	return nil
}

// Release gives the database back. Without it the lease expires by itself.
func (d *Database) Release(ctx context.Context) error {
	d.mu.Lock()
	l := d.lease
	d.lease = nil
	d.mu.Unlock()
	if l == nil {
		return nil
	}
	l.cancel(nil)
	<-l.done
	if _, err := d.work.exec(ctx, `DELETE FROM tollgate.lease WHERE token = $1::text`, l.token); err != nil {
		return d.failf(ErrUnreachable, err, "", "%s: the lease could not be given back, and expires by itself", d.at.where)
	}
	return nil
}

// token returns the token of the lease, or an error if there is none.
func (d *Database) token() (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lease == nil {
		return "", &Error{Kind: ErrRefused, Msg: d.at.where + " is not held: call Acquire first"}
	}
	return d.lease.token, nil
}

// fence fails by dividing by zero when the lease is no longer ours. It locks the
// lease until the transaction ends, so it is sent together with COMMIT.
const fence = `SELECT 1 / count(*) FROM (SELECT FROM tollgate.lease WHERE token = $1::text FOR SHARE) AS held`

// seeding is a fence too: it fails once a run is no longer being seeded. What
// was sent on a connection that then broke may be committed late. It is either
// there when cleaning begins, since that waits for who holds this lock, or never.
const seeding = `SELECT 1 / count(*) FROM (SELECT FROM tollgate.run WHERE run = $1::text AND state = 'seeding' FOR SHARE) AS open`

// divisionByZero is the code that the server fails a fence with.
const divisionByZero = "22012"

func interval(d time.Duration) string { return fmt.Sprintf("%d milliseconds", d.Milliseconds()) }
