package exec

import (
	"fmt"
	"time"

	"tollgate/pkg/spec"
)

// Budget is what a machine has for a run. A field that is 0 is not known, and
// limits nothing.
type Budget struct {
	Files  int   // connections that this process may have open at once
	Ports  int   // local ports for connections to one address
	Memory int64 // bytes that this process may take
}

// Needs is what a plan takes of a machine at most, as far as that can be told
// before the run.
type Needs struct {
	Files  int   // descriptors, those for logs, reports and /proc included
	Ports  int   // connections at once to one target
	Memory int64 // bytes, roughly
}

// What a run takes in memory, measured: the process itself, a user, and a
// connection with what the reports need of it. Bodies come on top.
const (
	baseMemory       = 24 << 20
	userMemory       = 256
	connectionMemory = 640
	valueMemory      = 48
)

// Needs returns what the plan takes of a machine.
func (p *Plan) Needs() Needs {
	n, targets := p.connections(), 1+len(p.Spec.Others)
	users := p.maxUsers
	for _, st := range p.stages {
		users = max(users, st.most)
	}
	return Needs{
		Files: n + reservedFiles, Ports: n / targets,
		Memory: baseMemory + int64(users)*int64(userMemory+valueMemory*len(p.Spec.Slots)) + int64(n)*connectionMemory,
	}
}

// Shortages compares a plan's needs with a machine's budget. Each is a sentence
// that says what is short and what to type. A run may begin all the same: what
// this machine then cannot send is counted as its own fault, and the run is
// not judged.
func (p *Plan) Shortages(b Budget) (short []string) {
	n := p.Needs()
	if b.Files > 0 && n.Files-reservedFiles > b.Files {
		short = append(short, fmt.Sprintf("%d connections at once, and this process may open %d files: raise the limit with `ulimit -n %d`, or lower --users",
			n.Files-reservedFiles, b.Files+reservedFiles, n.Files))
	}
	if b.Ports > 0 && n.Ports > b.Ports {
		short = append(short, fmt.Sprintf("%d connections at once to one target, and this machine has %d local ports for them: widen them with `sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`, or lower --users",
			n.Ports, b.Ports))
	}
	if b.Memory > 0 && n.Memory > b.Memory {
		short = append(short, fmt.Sprintf("the users take about %d MB, and %d MB of memory are free: lower --users, or use a larger machine",
			n.Memory>>20, b.Memory>>20))
	}
	return short
}

// connections is how many connections may be open at once: one for each user
// and target, or as many as the pool has.
func (p *Plan) connections() int {
	n, targets := p.maxUsers, 1+len(p.Spec.Others)
	for _, st := range p.stages {
		n = max(n, st.most)
	}
	switch c := p.Spec.Target.Connection; c.Per {
	case spec.Pool:
		return min(n, c.Size) * targets
	case spec.PerRequest:
		return p.underWay()
	}
	return n * targets
}

// underWay estimates how many requests are in flight at once: by Little's law,
// users take turns between answering, for half a second, and thinking.
func (p *Plan) underWay() int {
	const answer = 500 * time.Millisecond
	most := 0.0
	for i := range p.stages {
		st := &p.stages[i]
		if st.open {
			most = max(most, float64(st.most))
			continue
		}
		for _, pt := range st.parts {
			n := 0.0
			for k := range p.personas {
				if k < len(pt.to) {
					pe := &p.personas[k]
					n += float64(pt.to[k]) * min(1, answer.Seconds()/max(pe.cycle(answer).Seconds(), 1e-9))
				}
			}
			most = max(most, n)
		}
	}
	return int(most) + 1
}
