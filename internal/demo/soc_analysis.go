package demo

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// threatTypes are the threat types of the real system; an index into it is how
// this package passes one around.
var threatTypes = [...]string{
	"bot_traffic", "proxy_network", "device_compromise",
	"anomaly_detection", "rate_limit_breach", "geo_anomaly",
}

// severity is what the real system's mock mode always decides.
const severity = "MEDIUM"

var customers = [...]string{
	"Northwind Trading", "Harbour Credit Union", "Bluefin Logistics", "Cedar Health Group",
	"Summit Airlines", "Orchard Retail", "Granite Insurance", "Lakeside Energy",
}

// particulars are what differs between two analyses of one threat type.
type particulars struct {
	id, signalID uuid
	customer     string // plain ASCII without quotes: it is not escaped
	dice         uint64 // 64 random bits for whatever may vary
	manipulated  bool
	began, ended time.Time
}

// analysisText is one ThreatAnalysis with holes. "@name@" inside a string is
// filled with text; a whole string "@#name@" makes way for another value.
//
//go:embed soc_analysis.json
var analysisText []byte

var hole = regexp.MustCompile(`"@#(\w+)@"|@(\w+)@`)

// A template is an analysis of one threat type cut at its holes, so that an
// answer is a dozen copies and no encoding.
type template struct {
	pieces []piece
	size   int // enough for any answer
}

// A piece is fixed text and then a hole.
type piece struct {
	text string
	fill func([]byte, *particulars) []byte // nil after the last text
}

// templates are compiled when the first analysis is rendered.
var templates = sync.OnceValue(func() []template {
	all := make([]template, len(threatTypes))
	for i, name := range threatTypes {
		all[i] = compile(name)
	}
	return all
})

// render returns a new analysis of a threat type as JSON.
func render(threat int, p *particulars) []byte {
	t := &templates()[threat]
	b := make([]byte, 0, t.size)
	for i := range t.pieces {
		b = append(b, t.pieces[i].text...)
		if fill := t.pieces[i].fill; fill != nil {
			b = fill(b, p)
		}
	}
	return b
}

// compile fills a threat type's own words into the text and cuts it at the
// holes that are left. Both are ours, so it panics on a name without meaning.
func compile(threat string) template {
	words := maps.Clone(threatWords[threat])
	if words == nil {
		panic("demo: no words for threat type " + threat)
	}
	words["type"], words["severity"] = threat, severity
	var compact bytes.Buffer
	if err := json.Compact(&compact, analysisText); err != nil {
		panic(fmt.Sprintf("demo: soc_analysis.json: %v", err))
	}
	text := hole.ReplaceAllStringFunc(compact.String(), func(h string) string {
		if word, ok := words[holeName(h)]; ok {
			return word
		}
		return h
	})
	const widest = 40 // of what fills a hole: a UUID has 36 bytes
	var t template
	at := 0
	for _, h := range hole.FindAllStringIndex(text, -1) {
		fill, ok := fillers[holeName(text[h[0]:h[1]])]
		if !ok {
			panic("demo: nothing fills the hole " + text[h[0]:h[1]])
		}
		t.pieces = append(t.pieces, piece{text[at:h[0]], fill})
		t.size += h[0] - at + widest
		at = h[1]
	}
	t.pieces = append(t.pieces, piece{text: text[at:]})
	t.size += len(text) - at
	return t
}

func holeName(h string) string {
	m := hole.FindStringSubmatch(h)
	return m[1] + m[2]
}

var fillers = map[string]func([]byte, *particulars) []byte{
	"id":        func(b []byte, p *particulars) []byte { return append(b, p.id[:]...) },
	"signal_id": func(b []byte, p *particulars) []byte { return append(b, p.signalID[:]...) },
	"customer":  func(b []byte, p *particulars) []byte { return append(b, p.customer...) },
	"began":     func(b []byte, p *particulars) []byte { return appendTime(b, p.began) },
	"ended":     func(b []byte, p *particulars) []byte { return appendTime(b, p.ended) },
	"ip": func(b []byte, p *particulars) []byte { // from a range reserved for documentation
		return strconv.AppendUint(append(b, "203.0.113."...), p.dice>>8%254+1, 10)
	},
	"count": func(b []byte, p *particulars) []byte {
		return strconv.AppendUint(b, 200+p.dice>>16%4800, 10)
	},
	"ms_historical": agentTime(0),
	"ms_config":     agentTime(1),
	"ms_devops":     agentTime(2),
	"ms_context":    agentTime(3),
	"ms_priority":   agentTime(4),
	"total_ms": func(b []byte, p *particulars) []byte {
		return strconv.AppendInt(b, p.total().Milliseconds(), 10)
	},
	"manipulated": func(b []byte, p *particulars) []byte { return strconv.AppendBool(b, p.manipulated) },
	"review_reason": func(b []byte, p *particulars) []byte {
		if p.manipulated {
			return append(b, `"Incident history tampered with"`...)
		}
		return append(b, "null"...)
	},
}

// total is the time the analysis took.
func (p *particulars) total() time.Duration { return p.ended.Sub(p.began) }

// agentTime gives each agent up to 15 ms less than the whole, as they run at
// the same time and the slowest decides.
func agentTime(agent int) func([]byte, *particulars) []byte {
	return func(b []byte, p *particulars) []byte {
		earlier := p.dice >> (24 + 8*agent) % 16
		return strconv.AppendInt(b, max(p.total().Milliseconds()-int64(earlier), 0), 10)
	}
}

// appendTime appends t as the real system writes it: UTC, microseconds, no zone.
func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000")
}

// threatWords are what a threat type has of its own in soc_analysis.json.
// They stand inside JSON strings, metadata excepted, which is JSON.
var threatWords = map[string]map[string]string{
	"bot_traffic": {
		"metadata":         `{"source_ip":"@ip@","request_count":@count@,"time_window_minutes":5,"user_agents":["python-requests/2.31","curl/8.4.0"],"endpoint":"/api/v1/login","bot_score":0.91}`,
		"title":            "Bot traffic",
		"what":             "An automated client walked through the login and search pages at a pace and regularity that no person keeps.",
		"notice":           "automated traffic",
		"action":           "challenge",
		"action_text":      "put a challenge before the affected pages",
		"tactic_id":        "TA0006",
		"tactic":           "Credential Access",
		"tactic_text":      "The adversary is trying to steal account names and passwords.",
		"technique_id":     "T1110.004",
		"technique":        "Credential Stuffing",
		"technique_text":   "Adversaries may use credentials obtained from breaches of unrelated accounts to gain access.",
		"history":          "Two earlier waves of automated logins came from the same hosting provider.",
		"finding_history":  "Same user agents as in a confirmed wave of automated logins",
		"config":           "Bot protection is on with medium sensitivity, which lets slow automated clients pass.",
		"finding_config":   "Sensitivity of bot detection: medium",
		"advice_config":    "Raise the sensitivity of bot detection to high for the login page",
		"devops":           "The login service answered a third more requests than usual and scaled out once.",
		"finding_devops":   "One automatic scaling event on the login service",
		"context":          "Several retailers have reported lists of stolen credentials in circulation this week.",
		"finding_context":  "Stolen credentials of another company were published this week",
		"priority":         "Automated logins put accounts at risk but none is known to have been taken over.",
		"finding_priority": "Share of successful logins among the automated ones below 0.1 percent",
		"benign":           "A partner's price comparison service may have changed its crawler.",
	},
	"proxy_network": {
		"metadata":         `{"source_ip":"@ip@","proxy_count":@count@,"time_window_minutes":15,"proxy_types":["residential","datacenter"],"asn":"AS64500","rotation_seconds":30}`,
		"title":            "Proxy network",
		"what":             "Requests of one session hop through a network of rented proxies and change their address about every thirty seconds.",
		"notice":           "traffic through a network of anonymous proxies",
		"action":           "block_ip",
		"action_text":      "block the exit addresses of the proxy network for an hour",
		"tactic_id":        "TA0011",
		"tactic":           "Command and Control",
		"tactic_text":      "The adversary is trying to communicate with systems while hiding where it comes from.",
		"technique_id":     "T1090.003",
		"technique":        "Multi-hop Proxy",
		"technique_text":   "Adversaries may chain together several proxies to disguise the source of malicious traffic.",
		"history":          "The same autonomous system was the source of two scraping campaigns last quarter.",
		"finding_history":  "Same autonomous system as in two confirmed scraping campaigns",
		"config":           "Reputation checks are on, but residential proxies are let through by the policy in force.",
		"finding_config":   "Policy for residential proxies: allow and log",
		"advice_config":    "Change the policy for residential proxies from allow to challenge",
		"devops":           "The cache hit ratio at the edge fell, since the sessions ask for rarely used pages.",
		"finding_devops":   "Cache hit ratio at the edge 9 points below its usual level",
		"context":          "A provider of rented residential proxies has extended its network in this region.",
		"finding_context":  "Exit addresses belong to a commercial network of residential proxies",
		"priority":         "Hiding the origin is not an attack by itself but mostly precedes one.",
		"finding_priority": "No write access was tried through the proxies so far",
		"benign":           "A privacy service used by ordinary visitors may be the common exit.",
	},
	"device_compromise": {
		"metadata":         `{"source_ip":"@ip@","device_id":"dev-@count@","os":"Android 14","indicators":["rooted","debugger_attached","modified_binary"],"failed_integrity_checks":3,"last_seen_minutes":2}`,
		"title":            "Device compromise",
		"what":             "A registered device fails its integrity checks and runs a modified build of the customer's app with a debugger attached.",
		"notice":           "signs of a compromised device",
		"action":           "quarantine",
		"action_text":      "quarantine the device and end its sessions",
		"tactic_id":        "TA0027",
		"tactic":           "Initial Access",
		"tactic_text":      "The adversary is trying to get a foothold through a device that is trusted.",
		"technique_id":     "T1404",
		"technique":        "Exploitation for Privilege Escalation",
		"technique_text":   "Adversaries may exploit software vulnerabilities of a device in order to raise their privileges.",
		"history":          "One device of the same model showed the same three indicators last month and was confirmed as rooted.",
		"finding_history":  "Same three indicators as on a device confirmed as rooted",
		"config":           "Device attestation is required at enrolment but not repeated at each session.",
		"finding_config":   "Attestation: at enrolment only",
		"advice_config":    "Require attestation at the start of each session for privileged users",
		"devops":           "The session service shows repeated refreshes of tokens by the device at odd intervals.",
		"finding_devops":   "Tokens refreshed 14 times within an hour by one device",
		"context":          "A toolkit that patches mobile apps was published on a public forum nine days ago.",
		"finding_context":  "A published toolkit leaves the same traces in patched apps",
		"priority":         "A trusted device in the wrong hands can reach whatever its owner can.",
		"finding_priority": "The owner of the device has no administrative rights",
		"benign":           "A developer of the customer may be testing on an unregistered phone.",
	},
	"anomaly_detection": {
		"metadata":         `{"source_ip":"@ip@","baseline_requests":420,"observed_requests":@count@,"deviation_sigma":4.7,"time_window_minutes":10,"metric":"requests_per_minute"}`,
		"title":            "Anomaly",
		"what":             "The volume of requests left its usual band by more than four standard deviations and stays there.",
		"notice":           "an unusual pattern of traffic",
		"action":           "monitor",
		"action_text":      "watch the traffic closely and keep a rate limit ready",
		"tactic_id":        "TA0007",
		"tactic":           "Discovery",
		"tactic_text":      "The adversary is trying to figure out the environment.",
		"technique_id":     "T1046",
		"technique":        "Network Service Discovery",
		"technique_text":   "Adversaries may try to list the services that run on remote hosts and the paths that answer.",
		"history":          "Deviations of this size happened four times in ninety days, and two of them were attacks.",
		"finding_history":  "Two of four earlier deviations of this size were attacks",
		"config":           "The thresholds of anomaly detection follow the baseline of the last two weeks.",
		"finding_config":   "Baseline window: 14 days, threshold 4 standard deviations",
		"advice_config":    "Freeze the baseline until the deviation is explained",
		"devops":           "Load on the gateway rose in step with the signal and no queue has built up.",
		"finding_devops":   "Gateway at 61 percent of its capacity",
		"context":          "No campaign is known that would fit the timing and the targets of the requests.",
		"finding_context":  "No known campaign matches the pattern of the requests",
		"priority":         "The deviation is clear, its intent is not, so watching comes before blocking.",
		"finding_priority": "Deviation of 4.7 standard deviations for 10 minutes",
		"benign":           "A batch job of the customer may have moved to another hour.",
	},
	"rate_limit_breach": {
		"metadata":         `{"source_ip":"@ip@","request_count":@count@,"limit":1000,"time_window_minutes":1,"endpoint":"/api/v1/orders","throttled_ratio":0.63,"api_key_suffix":"7f3a"}`,
		"title":            "Rate limit breach",
		"what":             "One API key sends several times what its contract allows and does not slow down when it is throttled.",
		"notice":           "requests far above the agreed rate",
		"action":           "rate_limit",
		"action_text":      "tighten the rate limit of the key and tell its owner",
		"tactic_id":        "TA0040",
		"tactic":           "Impact",
		"tactic_text":      "The adversary is trying to interrupt the service for others.",
		"technique_id":     "T1498.001",
		"technique":        "Direct Network Flood",
		"technique_text":   "Adversaries may cause a denial of service by sending a high volume of requests to a target.",
		"history":          "The key breached its limit three times before, each time after a release of the client.",
		"finding_history":  "Three earlier breaches by the same key, each after a client release",
		"config":           "The limit of the key is 1000 requests a minute with a burst of 200, and retries count.",
		"finding_config":   "Limit of the key: 1000 per minute, burst 200",
		"advice_config":    "Lower the burst of the key to 50 until its owner has answered",
		"devops":           "Throttling holds: the services behind the gateway see no more than the limit.",
		"finding_devops":   "63 percent of the requests answered with 429 at the gateway",
		"context":          "Prices of the goods traded by the customer move strongly today, which invites polling.",
		"finding_context":  "A volatile trading day makes clients poll more often",
		"priority":         "Throttling protects the services, so the remaining risk is to the key's own owner.",
		"finding_priority": "Other customers are not affected by the breach",
		"benign":           "A client without back-off may be repeating what was throttled.",
	},
	"geo_anomaly": {
		"metadata":         `{"source_ip":"@ip@","previous_country":"CA","current_country":"SG","distance_km":14800,"minutes_between":95,"user":"user-1187","impossible_travel":true}`,
		"title":            "Geographic anomaly",
		"what":             "One account was used from two continents within a time in which nobody can travel between them.",
		"notice":           "a login from an unexpected place",
		"action":           "challenge",
		"action_text":      "ask the account for a second factor and end the older session",
		"tactic_id":        "TA0001",
		"tactic":           "Initial Access",
		"tactic_text":      "The adversary is trying to get into the network.",
		"technique_id":     "T1078",
		"technique":        "Valid Accounts",
		"technique_text":   "Adversaries may obtain and abuse the credentials of existing accounts to gain access.",
		"history":          "The account has never been used outside its home country in two years.",
		"finding_history":  "First use of the account outside its home country",
		"config":           "Geographic rules are set to alert and do not ask for a second factor by themselves.",
		"finding_config":   "Geographic rule: alert only",
		"advice_config":    "Ask for a second factor when the country of an account changes",
		"devops":           "Both sessions came through the regular gateway and their tokens are valid.",
		"finding_devops":   "Two valid sessions of one account in two regions",
		"context":          "The address belongs to a hosting provider and not to an access network.",
		"finding_context":  "Source address belongs to a hosting provider",
		"priority":         "A taken account is likely, its rights are limited, and both sessions can be ended.",
		"finding_priority": "The account can read reports and change nothing",
		"benign":           "The user may have switched on a private network that ends abroad.",
	},
}
