package demo

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
)

func echoCookies(w http.ResponseWriter, q *asked, _ fate) {
	pairs := map[string]string{}
	for _, c := range q.Cookies() {
		if _, known := pairs[c.Name]; !known {
			pairs[c.Name] = c.Value
		}
	}
	writeValue(w, http.StatusOK, struct {
		Cookie  string            `json:"cookie"`
		Cookies map[string]string `json:"cookies"`
	}{strings.Join(q.Header["Cookie"], "; "), pairs})
}

// setCookie writes the field by hand: [http.SetCookie] would correct it, and a
// client has to live with what it gets. Several raw= make several fields.
func setCookie(w http.ResponseWriter, q *asked, _ fate) {
	lines := q.query["raw"]
	if q.query.Has("name") {
		line := q.query.Get("name") + "=" + q.query.Get("value")
		for _, a := range []struct{ parameter, attribute string }{
			{"path", "Path"}, {"domain", "Domain"}, {"max_age", "Max-Age"}, {"expires", "Expires"}, {"same_site", "SameSite"},
		} {
			if q.query.Has(a.parameter) {
				line += "; " + a.attribute + "=" + q.query.Get(a.parameter)
			}
		}
		for _, a := range []struct{ parameter, attribute string }{{"secure", "Secure"}, {"http_only", "HttpOnly"}} {
			if q.query.Has(a.parameter) {
				line += "; " + a.attribute
			}
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		writeDetail(w, http.StatusBadRequest, "cookies/set takes ?name=N&value=V or ?raw=LINE")
		return
	}
	w.Header()["Set-Cookie"] = lines
	writeValue(w, http.StatusOK, struct {
		Set []string `json:"set"`
	}{lines})
}

// redirectStatus reads a status that redirects.
func redirectStatus(text string) (int, bool) {
	switch text {
	case "301", "302", "303", "307", "308":
		code, _ := strconv.Atoi(text)
		return code, true
	}
	return 0, false
}

const goodRedirect = "a redirect is 301, 302, 303, 307 or 308"

func redirect(w http.ResponseWriter, q *asked, _ fate) {
	code, ok := redirectStatus(q.parts["code"])
	n, err := strconv.Atoi(q.parts["n"])
	if !ok || err != nil || n < 0 || n > 1000 {
		writeDetail(w, http.StatusBadRequest, goodRedirect+", of 0 to 1000 hops")
		return
	}
	to := q.text("to", "/arrived")
	switch n {
	case 0:
		arrived(w, q, fate{})
		return
	case 1:
	default:
		to = fmt.Sprintf("/redirect/%d/%d", code, n-1)
		if q.URL.RawQuery != "" {
			to += "?" + q.URL.RawQuery
		}
	}
	sendAway(w, q, code, to)
}

func redirectLoop(w http.ResponseWriter, q *asked, _ fate) {
	code, ok := redirectStatus(q.text("code", "302"))
	if !ok {
		writeDetail(w, http.StatusBadRequest, goodRedirect)
		return
	}
	sendAway(w, q, code, q.URL.RequestURI())
}

func redirectAway(w http.ResponseWriter, q *asked, _ fate) {
	code, ok := redirectStatus(q.text("code", "302"))
	if !ok || !q.query.Has("to") {
		writeDetail(w, http.StatusBadRequest, "redirect/away takes ?to=URL; "+goodRedirect)
		return
	}
	writeLocation(w, code, q.query.Get("to"))
}

// sendAway redirects to a path of this system in the form that is asked for, or
// to a URL as it is.
func sendAway(w http.ResponseWriter, q *asked, code int, to string) {
	scheme := "http"
	if q.TLS != nil {
		scheme = "https"
	}
	switch form := q.query.Get("form"); {
	case !strings.HasPrefix(to, "/"):
	case form == "relative":
		to = relative(q.URL.Path, to)
	case form == "absolute":
		to = scheme + "://" + q.Host + to
	case form == "network":
		to = "//" + q.Host + to
	}
	if f := q.query.Get("fragment"); f != "" {
		to += "#" + url.PathEscape(f)
	}
	writeLocation(w, code, to)
}

// relative is a reference from one path to another (RFC 3986, section 5.2):
// up to the root, and from there.
func relative(from, to string) string {
	up := strings.Count(path.Dir(from), "/")
	if path.Dir(from) == "/" {
		up = 0
	}
	return "./" + strings.Repeat("../", up) + strings.TrimPrefix(to, "/")
}

func writeLocation(w http.ResponseWriter, code int, to string) {
	w.Header().Set("Location", to)
	writeValue(w, code, struct {
		Location string `json:"location"`
	}{to})
}

// arrived reports what a client that followed redirects has sent in the end.
func arrived(w http.ResponseWriter, q *asked, _ fate) {
	writeValue(w, http.StatusOK, struct {
		Method        string `json:"method"`
		Path          string `json:"path"`
		Query         string `json:"query"`
		ContentType   string `json:"content_type"`
		Bytes         int    `json:"bytes"`
		Authorization bool   `json:"authorization"`
		Cookie        bool   `json:"cookie"`
	}{
		q.Method, q.URL.Path, q.URL.RawQuery, q.Header.Get("Content-Type"), len(q.body),
		q.Header.Get("Authorization") != "", q.Header.Get("Cookie") != "",
	})
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func basic(w http.ResponseWriter, q *asked, _ fate) {
	user, password, ok := q.BasicAuth()
	if !ok || !same(user, q.text("user", "ann")) || !same(password, q.text("password", "secret")) {
		w.Header().Set("WWW-Authenticate", `Basic realm="demo", charset="UTF-8"`)
		writeDetail(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	writeUser(w, user)
}

func bearer(w http.ResponseWriter, q *asked, _ fate) {
	token, ok := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	if !ok || !same(token, q.text("token", "token")) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="demo"`)
		writeDetail(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	writeValue(w, http.StatusOK, struct {
		Token string `json:"token"`
	}{token})
}

func echoHeaders(w http.ResponseWriter, q *asked, _ fate) {
	h := q.Header.Clone()
	h.Set("Host", q.Host)
	writeValue(w, http.StatusOK, h)
}

// A part is what a body was, or one file in it.
type part struct {
	Name        string `json:"name"`
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	Bytes       int    `json:"bytes"`
	SHA256      string `json:"sha256"`
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func describeBody(w http.ResponseWriter, q *asked, _ fate) {
	answer := struct {
		Method      string              `json:"method"`
		ContentType string              `json:"content_type"`
		Bytes       int                 `json:"bytes"`
		SHA256      string              `json:"sha256"`
		Fields      map[string][]string `json:"fields"`
		Files       []part              `json:"files"`
	}{
		q.Method, q.Header.Get("Content-Type"), len(q.body), hashOf(q.body), map[string][]string{}, []part{},
	}
	media, parameters, _ := mime.ParseMediaType(answer.ContentType)
	switch media {
	case "application/x-www-form-urlencoded":
		fields, err := url.ParseQuery(string(q.body))
		if err != nil {
			writeDetail(w, http.StatusBadRequest, "form: "+err.Error())
			return
		}
		answer.Fields = fields
	case "multipart/form-data":
		for r := multipart.NewReader(bytes.NewReader(q.body), parameters["boundary"]); ; {
			p, err := r.NextRawPart()
			if err == io.EOF {
				if bytes.Contains(q.body, []byte("--"+parameters["boundary"]+"--")) {
					break
				}
				err = io.ErrUnexpectedEOF
			}
			var text []byte
			if err == nil {
				text, err = io.ReadAll(p)
			}
			if err != nil {
				writeDetail(w, http.StatusBadRequest, "multipart: "+err.Error())
				return
			}
			_, disposition, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
			if name, file := disposition["filename"]; file { // p.FileName would cut its folders off
				answer.Files = append(answer.Files, part{p.FormName(), name, p.Header.Get("Content-Type"), len(text), hashOf(text)})
				continue
			}
			answer.Fields[p.FormName()] = append(answer.Fields[p.FormName()], string(text))
		}
	}
	writeValue(w, http.StatusOK, answer)
}

const maxBytes = 1 << 30

// someBytes writes a body that repeats the alphabet.
func someBytes(w http.ResponseWriter, q *asked, _ fate) {
	n := q.number("n", 1000, maxBytes)
	w.Header().Set("Content-Type", "application/octet-stream")
	if !q.query.Has("chunked") {
		w.Header().Set("Content-Length", strconv.Itoa(n))
	}
	w.WriteHeader(http.StatusOK)
	if q.query.Has("chunked") {
		_ = http.NewResponseController(w).Flush() // a client that has gone shows in the next write
	}
	for sent := 0; sent < n; {
		m, err := w.Write(alphabet[:min(n-sent, len(alphabet))])
		if err != nil {
			return
		}
		sent += m
	}
}

// alphabet is the same wherever a multiple of 26 begins.
var alphabet = bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz"), 1260)

func describeConn(w http.ResponseWriter, q *asked, _ fate) {
	answer := struct {
		Connection uint64 `json:"connection"`
		Requests   uint64 `json:"requests"`
		Protocol   string `json:"protocol"`
		TLS        bool   `json:"tls"`
	}{Protocol: q.Proto, TLS: q.TLS != nil}
	if c := connOf(q.Context()); c != nil {
		answer.Connection, answer.Requests = c.number, c.carried.Load()
	}
	writeValue(w, http.StatusOK, answer)
}

func describeTLS(w http.ResponseWriter, q *asked, _ fate) {
	answer := struct {
		TLS        bool   `json:"tls"`
		Version    string `json:"version"`
		Cipher     string `json:"cipher"`
		ALPN       string `json:"alpn"`
		ServerName string `json:"server_name"`
		Resumed    bool   `json:"resumed"`
		Client     string `json:"client"`
	}{}
	if s := q.TLS; s != nil {
		answer.TLS, answer.Version, answer.Cipher = true, tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite)
		answer.ALPN, answer.ServerName, answer.Resumed = s.NegotiatedProtocol, s.ServerName, s.DidResume
		if len(s.PeerCertificates) > 0 {
			answer.Client = s.PeerCertificates[0].Subject.CommonName
		}
	}
	writeValue(w, http.StatusOK, answer)
}

// readRow reads {"email": "…"}.
func readRow(body []byte) (string, bool) {
	var row struct {
		Email *string `json:"email"`
	}
	if json.Unmarshal(body, &row) != nil || row.Email == nil {
		return "", false
	}
	return *row.Email, true
}
