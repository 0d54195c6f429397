package demo

import (
	"errors"
	"io"
	"math"
	"math/bits"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// proxied starts a target behind a proxy.
func proxied(t testing.TB, s Script, f Faults) (*Raw, *Proxy) {
	t.Helper()
	r := serveRaw(t, s)
	p, err := StartProxy(r.Addr, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, p
}

// throughProxy closes a proxy and then its target.
func throughProxy(t testing.TB, r *Raw, p *Proxy) RawLedger {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	return finalLedger(t, r)
}

var longAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("0123456789", 100)

func TestProxyPassesEverythingOn(t *testing.T) {
	for name, f := range map[string]Faults{
		"clear":     {},
		"slow":      {Latency: 20 * time.Millisecond},
		"fitful":    {Jitter: 5 * time.Millisecond},
		"in slices": {Slice: 3},
		"narrow":    {Bandwidth: 100_000},
		"all":       {Latency: time.Millisecond, Jitter: time.Millisecond, Slice: 100, Bandwidth: 1 << 20},
	} {
		r, p := proxied(t, Serve(Say(longAnswer, Stay)), f)
		begin := time.Now()
		got, err := talk(t, p.Addr, get("/1")+get("/2"))
		took := time.Since(begin)
		if got != longAnswer+longAnswer || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		least := 2 * f.Latency
		if f.Bandwidth > 0 {
			least += time.Duration(int64(len(got)) * int64(time.Second) / f.Bandwidth / 2) // the last step is not waited for
		}
		if took < least {
			t.Errorf("%s: took %v, at least %v is due", name, took, least)
		}
		if l := throughProxy(t, r, p); l.Requests != 2 || len(l.Conns) != 1 {
			t.Errorf("%s: %+v", name, l)
		}
		if n := p.Counts(); n != (ProxyCounts{Connections: 1}) {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

func TestFateComesAfterItsNumberOfBytes(t *testing.T) {
	for seed := range uint64(6) {
		for name, f := range map[string]Faults{
			"limit":   {Limits: 1},
			"reset":   {Resets: 1},
			"stall":   {Stalls: 1},
			"half":    {HalfOpens: 1},
			"corrupt": {Corrupts: 1},
		} {
			f.Seed, f.Within = seed, 500
			_, at := f.doomOf(0)
			r, p := proxied(t, Serve(Say(longAnswer, Stay)), f)
			c := connect(t, p.Addr)
			if _, err := io.WriteString(c, get("/")); err != nil {
				t.Fatal(err)
			}
			if name == "corrupt" {
				got := make([]byte, len(longAnswer))
				if _, err := io.ReadFull(c, got); err != nil {
					t.Fatal(err)
				}
				for i := range got {
					if flipped := bits.OnesCount8(got[i] ^ longAnswer[i]); flipped != map[bool]int{true: 1}[int64(i) == at] {
						t.Errorf("seed %d: %d bits of byte %d flipped, and the fate is at %d", seed, flipped, i, at)
					}
				}
				c.Close()
			} else {
				got := make([]byte, at)
				if _, err := io.ReadFull(c, got); err != nil || string(got) != longAnswer[:at] {
					t.Errorf("%s, seed %d: %q before the fate, %v", name, seed, got, err)
				}
				waitFor(t, "the fate", func() bool {
					n := p.Counts()
					return n.Limited+n.Reset+n.Stalled+n.HalfOpen == 1
				})
				if name == "stall" || name == "half" {
					c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
				}
				n, err := c.Read(make([]byte, 1))
				want := map[string]error{"limit": io.EOF, "reset": syscall.ECONNRESET, "stall": os.ErrDeadlineExceeded, "half": os.ErrDeadlineExceeded}[name]
				if n != 0 || !errors.Is(err, want) {
					t.Errorf("%s, seed %d: %d bytes, %v; want %v", name, seed, n, err, want)
				}
				c.Close()
			}
			if l := throughProxy(t, r, p); l.Requests != 1 || l.Malformed != "" {
				t.Errorf("%s, seed %d: %+v", name, seed, l)
			}
		}
	}
}

func TestFatesAreDealtByShareAndSeed(t *testing.T) {
	f := Faults{Seed: 1, Limits: 0.1, Resets: 0.2, Stalls: 0.05, HalfOpens: 0.15, Corrupts: 0.3, Within: 9}
	const n = 20_000
	var met [corrupted + 1]int
	var places [10]int
	for i := range uint64(n) {
		d, at := f.doomOf(i)
		met[d]++
		places[at]++
	}
	for d, share := range map[doom]float64{spared: 0.2, limited: 0.1, resetDoom: 0.2, stalled: 0.05, halfOpen: 0.15, corrupted: 0.3} {
		if got := float64(met[d]) / n; math.Abs(got-share) > 0.02 {
			t.Errorf("fate %d: %.3f of all, want %.2f", d, got, share)
		}
	}
	for at, m := range places {
		if got := float64(m) / n; math.Abs(got-0.1) > 0.02 {
			t.Errorf("after %d bytes: %.3f of all, want 0.1", at, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f.Seed = rapid.Uint64().Draw(t, "seed")
		f.Within = rapid.Int64Range(0, 1<<40).Draw(t, "within")
		i := rapid.Uint64().Draw(t, "connection")
		d, at := f.doomOf(i)
		if again, there := f.doomOf(i); d != again || at != there || at < 0 || at > f.Within {
			t.Fatalf("fate %d at %d, then %d at %d, within %d", d, at, again, there, f.Within)
		}
	})
}

func TestImpossibleFaultsAreRefused(t *testing.T) {
	for _, f := range []Faults{
		{Limits: -0.1}, {Resets: math.NaN()}, {Stalls: 0.6, HalfOpens: 0.6}, {Corrupts: 2},
		{Latency: -1}, {Jitter: -1}, {Bandwidth: -1}, {Slice: -1}, {Within: -1},
	} {
		if p, err := StartProxy("127.0.0.1:1", f); err == nil {
			p.Close()
			t.Errorf("%+v was accepted", f)
		}
	}
}

func TestProxyWithoutATargetResetsItsClients(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p, err := StartProxy(l.Addr().String(), Faults{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, err := net.Dial("tcp", p.Addr) // may see the reset already
	if err == nil {
		_, err = io.ReadAll(c)
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
}

func TestProxyPassesAResetOn(t *testing.T) {
	r, p := proxied(t, Serve(Say("", Reset)), Faults{})
	if _, err := talk(t, p.Addr, get("/")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	throughProxy(t, r, p)
}

func TestProxyClosesUnderClientsThatStay(t *testing.T) {
	for name, f := range map[string]Faults{"idle": {}, "delayed": {Latency: time.Hour}, "stalled": {Stalls: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, p := proxied(t, Serve(Say(rawOK, Stay)), f)
			c := connect(t, p.Addr)
			if _, err := io.WriteString(c, get("/")); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			l := throughProxy(t, r, p)
			if took := time.Since(begin); took > 2*rawGrace+5*time.Second {
				t.Errorf("closing took %v", took)
			}
			if l.Requests != 1 {
				t.Errorf("what had been sent did not reach the target: %+v", l)
			}
		})
	}
}
