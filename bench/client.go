//go:build linux

package main

import (
	"debug/buildinfo"
	"os/exec"
	"strings"
	"time"
)

// A kind of load.
type kind string

const (
	get    kind = "get"     // users who never rest, GET
	post   kind = "post"    // users who never rest, POST
	open   kind = "open"    // arrivals at even distances, GET
	users  kind = "users"   // three personas who think
	rows   kind = "rows"    // the same in 3 stages over 20 endpoints
	https  kind = "https"   // as get, over TLS
	http2  kind = "http2"   // as get, over TLS and HTTP/2
	visits kind = "million" // users who come by every ten minutes, with a connection for each request
)

// A load is what a client is asked to do.
type load struct {
	kind   kind
	users  int           // connections; for arrivals, how many may be in flight
	rate   int           // arrivals per second
	ramp   time.Duration // in which the users come
	during time.Duration // after the ramp
}

// seconds is the length of the load's level as clients like to read it: "5s".
func (l load) seconds() string { return l.during.Round(time.Second).String() }

// path is what clients without templates ask for.
func (l load) path() string {
	if l.kind == post {
		return "/orders"
	}
	return "/items/17"
}

// perUser is a user's share of the rate.
func (l load) perUser() float64 { return float64(l.rate) / float64(l.users) }

// A call is how a client is started for one load.
type call struct {
	args  []string
	env   []string
	stdin string
	after []string // arguments of a second start that prepares what is read; not measured
}

// A client is one load generator.
type client struct {
	name    string
	program string // its executable
	install string // what to type to have it
	pack    string // its Debian package, whose version stands for its own
	path    string
	ours    bool // the runner: it leaves a result behind, whatever it exits with

	// call says how to make a load of the target at url ("http://host:port"); nil: it cannot.
	call func(l load, url string) *call
	// quantiles reads the response times that the client reports, in seconds,
	// out of its output and working folder; nil: it reports none that matter here.
	quantiles func(dir string, stdout []byte) (map[string]float64, error)
}

// peers are the clients beside the runner. wrk is the reference.
var peers = []client{wrk, h2load, bombardier, fortio, hey, vegeta, k6, locust}

const (
	reference = "wrk"
	subject   = "runner"
)

// version is the client's own, as far as it can be told.
func (c client) version() string {
	if info, err := buildinfo.ReadFile(c.path); err == nil && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	if c.pack != "" {
		if out, err := exec.Command("dpkg-query", "--show", "--showformat=${Version}", c.pack).Output(); err == nil {
			return "Debian " + strings.TrimSpace(string(out))
		}
	}
	return "unknown version"
}
