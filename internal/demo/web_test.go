package demo

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serveWeb starts a Web and a client of it, both ended with the test. The
// client is the standard library's: it does not know what the Web is made of.
func serveWeb(t testing.TB, opts ...ServerOption) (*Web, *Server, *http.Client) {
	t.Helper()
	web := NewWeb(Options{})
	server, err := Start("127.0.0.1:0", web, opts...)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	jar, _ := cookiejar.New(nil) // without options it cannot fail
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		l := web.Ledger()
		if l.Total != l.Responses+l.Unanswered || l.ConnectionsOpened != l.ConnectionsClosed {
			t.Errorf("the ledger does not add up: %+v", l)
		}
	})
	return web, server, &http.Client{Transport: transport, Jar: jar}
}

// ask sends a request and returns status, header and body.
func ask(t testing.TB, c *http.Client, method, url, contentType, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return answerTo(t, c, req)
}

func answerTo(t testing.TB, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	return resp, string(text)
}

// field reads one value of a JSON object.
func field(t testing.TB, text, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return fmt.Sprint(m[name])
}

func TestSessionIsItsOwnersAlone(t *testing.T) {
	web, server, ann := serveWeb(t)
	bob := &http.Client{Transport: ann.Transport}
	bob.Jar, _ = cookiejar.New(nil)

	if resp, _ := ask(t, ann, "GET", server.URL+"/me", "", ""); resp.StatusCode != 401 {
		t.Errorf("without a cookie: %d", resp.StatusCode)
	}
	resp, text := ask(t, ann, "GET", server.URL+"/login?user=ann", "", "")
	if got := resp.Header.Get("Set-Cookie"); got != "session=ann-1; Path=/; HttpOnly" || field(t, text, "session") != "ann-1" {
		t.Errorf("%q, %s", got, text)
	}
	ask(t, bob, "POST", server.URL+"/login?user=bob", "", "")
	for c, user := range map[*http.Client]string{ann: "ann", bob: "bob"} {
		if resp, text := ask(t, c, "GET", server.URL+"/me", "", ""); resp.StatusCode != 200 || text != `{"user":"`+user+`"}` {
			t.Errorf("%s is %d %s", user, resp.StatusCode, text)
		}
	}
	for _, cookie := range []string{"session=ann-2", "session=ann", "session=", "Session=ann-1"} {
		req, _ := http.NewRequest("GET", server.URL+"/me", nil)
		req.Header.Set("Cookie", cookie)
		if resp, _ := answerTo(t, &http.Client{Transport: ann.Transport}, req); resp.StatusCode != 401 {
			t.Errorf("%s: %d", cookie, resp.StatusCode)
		}
	}
	ask(t, ann, "POST", server.URL+"/logout", "", "")
	if resp, _ := ask(t, ann, "GET", server.URL+"/me", "", ""); resp.StatusCode != 401 {
		t.Errorf("after the logout: %d", resp.StatusCode)
	}
	if l := web.Ledger(); l.Status["GET /me"][200] != 2 || l.Status["GET /me"][401] != 6 {
		t.Errorf("ledger: %v", l.Status)
	}
}

func TestOldestSessionsGo(t *testing.T) {
	var s sessions
	first := s.begin("a")
	for range maxSessions {
		s.begin("b")
	}
	if _, ok := s.user(first); ok || len(s.users) != maxSessions {
		t.Errorf("the first is there: %v, of %d", ok, len(s.users))
	}
}

func TestCookiesAreSetAsAskedAndEchoed(t *testing.T) {
	_, server, c := serveWeb(t)
	resp, _ := ask(t, c, "GET", server.URL+"/cookies/set?name=a&value=b&path=/else&max_age=60&domain=127.0.0.1&secure&http_only&same_site=Lax", "", "")
	if got := resp.Header.Get("Set-Cookie"); got != "a=b; Path=/else; Domain=127.0.0.1; Max-Age=60; SameSite=Lax; Secure; HttpOnly" {
		t.Error(got)
	}
	resp, _ = ask(t, c, "GET", server.URL+"/cookies/set?raw=x%3D1&raw=y%3D2%3B+Path%3D%2Fcookies%2Fecho", "", "")
	if got := resp.Header["Set-Cookie"]; !slices.Equal(got, []string{"x=1", "y=2; Path=/cookies/echo"}) {
		t.Errorf("%q", got)
	}
	_, text := ask(t, c, "GET", server.URL+"/cookies/echo", "", "")
	if text != `{"cookie":"y=2; x=1","cookies":{"x":"1","y":"2"}}` {
		t.Error(text)
	}
	ask(t, c, "GET", server.URL+"/cookies/set?name=x&value=&max_age=0", "", "")
	if _, text := ask(t, c, "GET", server.URL+"/cookies/echo", "", ""); field(t, text, "cookie") != "y=2" {
		t.Errorf("after the deletion: %s", text)
	}
	if resp, _ := ask(t, c, "GET", server.URL+"/cookies/set", "", ""); resp.StatusCode != 400 {
		t.Error(resp.StatusCode)
	}
}

func TestRedirectsLeadToTheEnd(t *testing.T) {
	_, server, c := serveWeb(t)
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, form := range []string{"", "path", "relative", "absolute", "network"} {
			to := fmt.Sprintf("%s/redirect/%d/3?to=/arrived/a/b%%3Fc%%3Dd&form=%s&fragment=f", server.URL, code, form)
			req, _ := http.NewRequest("POST", to, strings.NewReader("hello"))
			req.Header.Set("Authorization", "Bearer x")
			resp, text := answerTo(t, c, req)
			method, sent := "GET", "0"
			if code > 303 {
				method, sent = "POST", "5"
			}
			if resp.StatusCode != 200 || field(t, text, "method") != method || field(t, text, "bytes") != sent ||
				field(t, text, "path") != "/arrived/a/b" || field(t, text, "query") != "c=d" || field(t, text, "authorization") != "true" {
				t.Errorf("%d, form %q: %d %s", code, form, resp.StatusCode, text)
			}
		}
	}
	one := &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]string{
		"/redirect/302/2":                                   "/redirect/302/1",
		"/redirect/302/1":                                   "/arrived",
		"/redirect/307/2?to=/me&form=absolute":              server.URL + "/redirect/307/1?to=/me&form=absolute",
		"/redirect/307/1?to=/me&form=network":               strings.TrimPrefix(server.URL, "http:") + "/me",
		"/redirect/307/1?to=/me&form=relative":              "./../../me",
		"/redirect/301/1?to=/me&fragment=a":                 "/me#a",
		"/redirect/loop?form=absolute":                      server.URL + "/redirect/loop?form=absolute",
		"/redirect/away?to=http://192.0.2.1/x&code=308":     "http://192.0.2.1/x",
		"/redirect/302/1?to=http://192.0.2.1/&form=network": "http://192.0.2.1/",
	} {
		if resp, _ := ask(t, one, "GET", server.URL+path, "", ""); resp.StatusCode/100 != 3 || resp.Header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, resp.StatusCode, resp.Header.Get("Location"), want)
		}
	}
	for _, path := range []string{"/redirect/300/1", "/redirect/304/1", "/redirect/302/x", "/redirect/302/1001", "/redirect/loop?code=200", "/redirect/away"} {
		if resp, _ := ask(t, one, "GET", server.URL+path, "", ""); resp.StatusCode != 400 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if resp, text := ask(t, one, "PUT", server.URL+"/redirect/302/0", "", "x"); resp.StatusCode != 200 || field(t, text, "method") != "PUT" {
		t.Errorf("no hops: %d %s", resp.StatusCode, text)
	}
}

func TestLoopCountsWhatFollowsIt(t *testing.T) {
	web, server, c := serveWeb(t)
	if resp, err := c.Get(server.URL + "/redirect/loop"); err == nil || resp.StatusCode != 302 { // its last answer
		t.Errorf("%v", err)
	}
	if n := web.Ledger().Requests["GET /redirect/loop"]; n != 10 { // as net/http has it
		t.Errorf("%d requests", n)
	}
}

func TestCredentialsAtAnotherOrigin(t *testing.T) {
	_, here, c := serveWeb(t)
	_, there, _ := serveWeb(t)
	ask(t, c, "GET", here.URL+"/login?user=ann", "", "")
	req, _ := http.NewRequest("GET", here.URL+"/redirect/away?to="+url.QueryEscape(there.URL+"/arrived"), nil)
	req.Header.Set("Authorization", "Bearer x")
	_, text := answerTo(t, &http.Client{Transport: c.Transport}, req)
	// net/http's rule goes by the host's name alone, and both are the same host.
	if field(t, text, "authorization") != "true" || field(t, text, "cookie") != "false" {
		t.Error(text)
	}
}

// decoded undoes a coding by the standard library.
func decoded(coding string, body []byte) (text []byte, err error) {
	var r io.Reader = bytes.NewReader(body)
	switch coding {
	case "gzip", "members", "truncated", "checksum", "trailing", "plain":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	case "deflate-raw":
		r = flate.NewReader(r)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestEncodedBodiesAreWhatTheySay(t *testing.T) {
	_, server, c := serveWeb(t)
	for _, chunked := range []string{"", "&chunked"} {
		for name, want := range map[string]struct {
			encoding string
			err      error
		}{
			"identity": {"identity", nil}, "none": {"", nil}, "gzip": {"gzip", nil}, "members": {"gzip", nil},
			"deflate": {"deflate", nil}, "deflate-raw": {"deflate", nil}, "unknown": {"x-unknown", nil},
			"truncated": {"gzip", io.ErrUnexpectedEOF}, "checksum": {"gzip", gzip.ErrChecksum},
			"trailing": {"gzip", io.ErrUnexpectedEOF}, "plain": {"gzip", gzip.ErrHeader},
		} {
			resp, text := ask(t, c, "GET", server.URL+"/encoded/"+name+"?n=30"+chunked, "", "")
			if got := resp.Header.Get("Content-Encoding"); got != want.encoding || (resp.ContentLength < 0) != (chunked != "") {
				t.Errorf("%s: encoding %q, length %d", name, got, resp.ContentLength)
			}
			got, err := decoded(name, []byte(text))
			if !errors.Is(err, want.err) || want.err == nil && (field(t, string(got), "coding") != name || field(t, string(got), "count") != "30") {
				t.Errorf("%s: %v, want %v: %.80s", name, err, want.err, got)
			}
		}
	}
	resp, text := ask(t, c, "GET", server.URL+"/encoded/double", "", "")
	inner, err := decoded("gzip", []byte(text))
	if err == nil {
		inner, err = decoded("deflate", inner)
	}
	if err != nil || field(t, string(inner), "coding") != "double" || resp.Header.Get("Content-Encoding") != "deflate, gzip" {
		t.Errorf("double: %.80s, %v", inner, err)
	}
	if resp, text := ask(t, c, "GET", server.URL+"/encoded/nonsense", "", ""); resp.StatusCode != 404 || !strings.Contains(text, "truncated") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

func TestBombIsSmallAndInflates(t *testing.T) {
	_, server, c := serveWeb(t)
	for query, want := range map[string]int{"": defaultBomb, "?chunked": defaultBomb, "?n=100000": 100_000} {
		resp, text := ask(t, c, "GET", server.URL+"/encoded/bomb"+query, "", "")
		zeros, err := decoded("gzip", []byte(text))
		if err != nil || len(zeros) != want || len(text) > want/50 || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%q: %d bytes of %d, %v", query, len(text), len(zeros), err)
		}
	}
}

func TestCodingIsChosenByWhatTheClientAccepts(t *testing.T) {
	_, server, c := serveWeb(t)
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "deflate, gzip": "deflate", "zstd, GZIP;q=0.5": "gzip", "gzip;q=0, deflate; q=1": "deflate",
		"*": "gzip", "identity": "identity", "br": "br", "gzip;q=x": "",
	} {
		req, _ := http.NewRequest("GET", server.URL+"/encoded/auto", nil)
		if accept != "" {
			req.Header.Set("Accept-Encoding", accept)
		}
		if resp, _ := answerTo(t, c, req); resp.Header.Get("Content-Encoding") != want || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accept, resp.Header)
		}
	}
}

// What is wanted was decoded by another implementation.
func TestBrotliIsBrotli(t *testing.T) {
	if got := brotli([]byte("hello")); !bytes.Equal(got, []byte("\x40\x00\x10hello\x03")) {
		t.Errorf("%x", got)
	}
	if got := brotli(nil); !bytes.Equal(got, []byte{6}) {
		t.Errorf("nothing: %x", got)
	}
	long := bytes.Repeat([]byte{'x'}, 70_000)
	want := slices.Concat([]byte{0xf0, 0xff, 0x1f}, long[:1<<16], []byte{0x78, 0x8b, 0x08}, long[1<<16:], []byte{3})
	if got := brotli(long); !bytes.Equal(got, want) {
		t.Errorf("%x … %x", got[:3], got[3+1<<16:][:3])
	}
}

func TestCredentialsAreChecked(t *testing.T) {
	_, server, c := serveWeb(t)
	for _, tt := range []struct {
		path, user, password, token string
		want                        int
	}{
		{"/basic", "", "", "", 401}, {"/basic", "ann", "secret", "", 200}, {"/basic", "ann", "Secret", "", 401},
		{"/basic?user=bob&password=a:b", "bob", "a:b", "", 200}, {"/basic?user=bob&password=a", "ann", "a", "", 401},
		{"/basic", "", "", "token", 401},
		{"/bearer", "", "", "", 401}, {"/bearer", "", "", "token", 200}, {"/bearer?token=x", "", "", "x", 200}, {"/bearer?token=x", "", "", "token", 401},
		{"/bearer", "ann", "secret", "", 401},
	} {
		req, _ := http.NewRequest("GET", server.URL+tt.path, nil)
		if tt.user != "" {
			req.SetBasicAuth(tt.user, tt.password)
		}
		if tt.token != "" {
			req.Header.Set("Authorization", "Bearer "+tt.token)
		}
		resp, _ := answerTo(t, c, req)
		if resp.StatusCode != tt.want || (resp.Header.Get("WWW-Authenticate") == "") != (tt.want == 200) {
			t.Errorf("%+v: %d %q", tt, resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestBodyIsDescribed(t *testing.T) {
	_, server, c := serveWeb(t)
	const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "GET"} {
		_, text := ask(t, c, method, server.URL+"/body", "text/plain", "hello")
		if want := `{"method":"` + method + `","content_type":"text/plain","bytes":5,"sha256":"` + hello + `","fields":{},"files":[]}`; text != want {
			t.Errorf("%s: %s, want %s", method, text, want)
		}
	}
	if _, text := ask(t, c, "POST", server.URL+"/body", "application/x-www-form-urlencoded", "a=b+c&a=%26&d="); !strings.Contains(text, `"fields":{"a":["b c","&"],"d":[""]}`) {
		t.Errorf("form: %s", text)
	}
	for kind, body := range map[string]string{"application/x-www-form-urlencoded": "a=%zz", "multipart/form-data; boundary=x": "--x\r\nA: b"} {
		if resp, _ := ask(t, c, "POST", server.URL+"/body", kind, body); resp.StatusCode != 400 {
			t.Errorf("%s %q: %d", kind, body, resp.StatusCode)
		}
	}

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	w.WriteField("a", "b")
	part, _ := w.CreateFormFile("upload", "folder/h.txt")
	io.WriteString(part, "hello")
	large, _ := w.CreateFormFile("large", "l.bin")
	large.Write(make([]byte, 5<<20)) // more than the other systems take
	w.Close()
	_, text := ask(t, c, "POST", server.URL+"/body", w.FormDataContentType(), form.String())
	var got struct {
		Bytes  int                 `json:"bytes"`
		Fields map[string][]string `json:"fields"`
		Files  []struct {
			Name, Filename, SHA256 string
			Bytes                  int
			ContentType            string `json:"content_type"`
		} `json:"files"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Files) != 2 || got.Bytes != form.Len() || got.Fields["a"][0] != "b" || got.Files[0].SHA256 != hello ||
		got.Files[0].Name != "upload" || got.Files[0].Filename != "folder/h.txt" || got.Files[0].ContentType != "application/octet-stream" || got.Files[1].Bytes != 5<<20 {
		t.Errorf("%+v", got)
	}
}

func TestEveryResourceAnswersHEADAsGETWithoutABody(t *testing.T) {
	web, server, c := serveWeb(t)
	one := &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, res := range web.resources {
		if !strings.Contains(res.methods, "GET") {
			continue
		}
		path := strings.NewReplacer("{code}", "302", "{n}", "1", "{id}", "7", "{coding}", "gzip", "{rest}", "x").Replace(res.path)
		get, _ := ask(t, one, "GET", server.URL+path, "", "")
		head, text := ask(t, one, "HEAD", server.URL+path, "", "")
		if head.StatusCode != get.StatusCode || text != "" {
			t.Errorf("%s: GET %d, HEAD %d %q", path, get.StatusCode, head.StatusCode, text)
		}
		if get.StatusCode == 404 || web.Ledger().Requests["HEAD "+res.path] != 1 {
			t.Errorf("%s: %d, in the ledger as %v", path, get.StatusCode, web.Ledger().Requests)
		}
	}
	for path, want := range map[string]int{"/nothing": 404, "/items/": 404, "/items/a/b": 404, "/redirect/302": 404, "/arrived/": 404} {
		if resp, _ := ask(t, one, "GET", server.URL+path, "", ""); resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if resp, _ := ask(t, one, "DELETE", server.URL+"/me", "", ""); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET" {
		t.Errorf("%d, allowed %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestSmallAnswers(t *testing.T) {
	_, server, c := serveWeb(t)
	for _, tt := range []struct {
		method, path string
		status       int
		text         string
	}{
		{"GET", "/items/7", 200, `{"id":"7","name":"Item 7"}`},
		{"PUT", "/items/7", 200, `{"id":"7","name":"Item 7"}`},
		{"DELETE", "/items/7", 204, ""},
		{"POST", "/items", 201, `{"id":"1","name":"Item 1"}`},
		{"GET", "/status/503", 503, `{"detail":"Service Unavailable"}`},
		{"GET", "/status/204", 204, ""},
		{"GET", "/status/100", 400, `{"detail":"a status from 200 to 999"}`},
		{"GET", "/slow?ms=1", 200, `{"waited_ms":1}`},
		{"GET", "/bytes?n=30", 200, "abcdefghijklmnopqrstuvwxyzabcd"},
		{"GET", "/bytes?n=0", 200, ""},
		{"GET", "/close", 200, `{"closed":true}`},
		{"GET", "/tls", 200, `{"tls":false,"version":"","cipher":"","alpn":"","server_name":"","resumed":false,"client":""}`},
	} {
		if resp, text := ask(t, c, tt.method, server.URL+tt.path, "", ""); resp.StatusCode != tt.status || text != tt.text {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, resp.StatusCode, text)
		}
	}
	for _, query := range []string{"?n=100000", "?n=100000&chunked"} {
		resp, text := ask(t, c, "GET", server.URL+"/bytes"+query, "", "")
		if len(text) != 100_000 || text[26*1000:26*1000+3] != "abc" || (resp.ContentLength < 0) != strings.HasSuffix(query, "d") {
			t.Errorf("%s: %d bytes, length %d", query, len(text), resp.ContentLength)
		}
	}
	req, _ := http.NewRequest("GET", server.URL+"/headers", nil)
	req.Header.Add("X-A", "1")
	req.Header.Add("X-A", "2")
	if _, text := answerTo(t, c, req); !strings.Contains(text, `"X-A":["1","2"]`) || !strings.Contains(text, `"Host":["127.0.0.1:`) {
		t.Error(text)
	}
}

func TestConnectionsAreToldApart(t *testing.T) {
	_, server, c := serveWeb(t)
	at := func(path string) string {
		_, text := ask(t, c, "GET", server.URL+path, "", "")
		return text
	}
	for i := 1; i <= 3; i++ {
		if want := fmt.Sprintf(`{"connection":1,"requests":%d,"protocol":"HTTP/1.1","tls":false}`, i); at("/conn") != want {
			t.Errorf("want %s", want)
		}
	}
	at("/close")
	if text := at("/conn"); field(t, text, "connection") != "2" || field(t, text, "requests") != "1" {
		t.Errorf("after the close: %s", text)
	}
}

func TestRowsAreCountedEachAndInOrder(t *testing.T) {
	web, server, c := serveWeb(t)
	for _, email := range []string{"b@x", "a@x", "b@x"} {
		if resp, text := ask(t, c, "POST", server.URL+"/rows", "application/json", `{"email":"`+email+`","other":1}`); resp.StatusCode != 201 || field(t, text, "email") != email {
			t.Errorf("%d %s", resp.StatusCode, text)
		}
	}
	for _, bad := range []string{"", "{}", `{"email":7}`, "x"} {
		if resp, _ := ask(t, c, "POST", server.URL+"/rows", "application/json", bad); resp.StatusCode != 422 {
			t.Errorf("%q: %d", bad, resp.StatusCode)
		}
	}
	l := web.Ledger()
	if diff := cmp.Diff(map[string]uint64{"a@x": 1, "b@x": 2}, l.Rows); diff != "" || !slices.Equal(l.RowOrder, []string{"b@x", "a@x", "b@x"}) {
		t.Errorf("%s, order %q", diff, l.RowOrder)
	}
	if web.ResetLedger(); len(web.Ledger().RowOrder)+len(web.Ledger().Rows) > 0 {
		t.Error("a new ledger has old rows")
	}
}

func TestManyDistinctRowsAreAllSeen(t *testing.T) {
	p := newPage()
	for i := range maxRows + 10 {
		p.note(note{rows, fmt.Sprint(i)})
	}
	if len(p.notes[rows]) != maxRows+1 || p.notes[rows][otherNotes] != 10 || len(p.order) != maxRows {
		t.Errorf("%d rows, %d others, %d in order", len(p.notes[rows]), p.notes[rows][otherNotes], len(p.order))
	}
}

func TestKnobsReachTheWebToo(t *testing.T) {
	web, server, c := serveWeb(t)
	if err := web.SetKnobs(Knobs{Errors: 1, NotReady: true}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/me": 503, "/health": 503} {
		if resp, _ := ask(t, c, "GET", server.URL+path, "", ""); resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("NewWeb takes knobs that are not valid")
		}
	}()
	NewWeb(Options{Knobs: Knobs{Errors: 2}})
}

// unanswered asks without wanting an answer.
func unanswered(c *http.Client, url string) error {
	resp, err := c.Get(url)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

func TestResetIsOneOverEveryProtocol(t *testing.T) {
	for name, p := range protocolsToTest() {
		t.Run(name, func(t *testing.T) {
			web, server, c := p.serve(t)
			if err := web.SetKnobs(Knobs{Resets: 1}); err != nil {
				t.Fatal(err)
			}
			err := unanswered(c, server.URL+"/me")
			var op *net.OpError
			if err == nil || p.major == 1 && !errors.As(err, &op) {
				t.Errorf("%v", err)
			}
			if l := web.Ledger(); l.Faults["reset"] != 1 || l.Unanswered != 1 {
				t.Errorf("%+v", l)
			}
		})
	}
}
