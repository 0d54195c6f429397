// Package measure turns samples into numbers that merge: one Recorder for each
// event loop, owned by it alone, and a Snapshot that is the same whatever the
// number of loops or machines the samples were spread over.
//
// It knows stages, steps and claims only as indices into a Layout; it reads no
// clock. All times are nanoseconds since the start of the run.
package measure

// Outcome is how one request ended.
type Outcome uint8

// The outcomes: OK, or one failure class.
const (
	OK          Outcome = iota
	Status              // status 400 or above, or not the expected one
	Check               // an expect that did not hold, or a value that could not be saved
	Timeout             // not complete at its deadline
	ConnectFail         // connection refused, unreachable
	TLS                 // handshake failed
	DNS                 // name not resolved by the target's own DNS
	Reset               // connection lost after the request was sent
	Protocol            // not HTTP
	TooLarge            // a cap on headers or body was passed
	Aborted             // in flight when the run ended
	Generator           // our own ports, descriptors, memory, DNS
	NumOutcomes
)

// String returns the outcome's name as specs and reports write it.
func (o Outcome) String() string {
	return [...]string{"ok", "status", "check", "timeout", "connect", "tls", "dns", "reset", "protocol", "too_large", "aborted", "generator"}[o]
}

// Sample is one request, complete or failed. Times are nanoseconds since the
// start of the run.
type Sample struct {
	Due     int64 // when the request ought to have been sent
	Begin   int64 // when the loop took it up: Begin - max(Due, user free) is lag
	Sent    int64 // first byte handed to the kernel; 0: never
	First   int64 // first byte of the response; 0: none
	Done    int64 // last byte of the response, or the moment of failure
	Connect int64 // duration of connection set-up inside this request; 0: reused
	Lag     int64 // the part of Begin - Due that is the generator's own fault
	In, Out int64 // bytes received and sent on the wire
	Outcome Outcome
	Reused  bool // the connection had carried a request before
}

// Step is one place in a persona's work that sends a request: a column of the
// series table. Steps are known before the run, so series are bounded.
type Step struct {
	Persona  string `json:"persona"`
	Task     string `json:"task"`     // "on_start" for set-up
	Endpoint string `json:"endpoint"` // key in the spec's catalogue
	Name     string `json:"name"`     // row name in reports: the step's, the endpoint's, or its key
	Method   string `json:"method"`
	Setup    bool   `json:"setup"` // never in an SLO unless the SLO names it
}

// Phase is a stretch of the run that is judged, or not, as one: the hold of a
// stage or its moving parts. A row of the series table.
type Phase struct {
	Stage  string `json:"stage"`
	Shape  string `json:"shape"`  // warmup, steady, spike, steps, pause
	Moving bool   `json:"moving"` // ramps, the wait for set-up, the way back, the drain
	Back   bool   `json:"back"`   // the way back from the peak
}
