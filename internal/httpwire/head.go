package httpwire

import "bytes"

// feedHead reads heads until the final one is complete and returns how much of
// in they took. It leaves state at inHead when in ends first.
func (p *Parser) feedHead(in []byte) (used int) {
	for p.state == inHead && used < len(in) { // again after each 1xx
		if p.spill == nil {
			used += p.wholeHead(in[used:])
		} else {
			used += p.cutHead(in[used:])
		}
	}
	return used
}

// wholeHead parses a head where it lies. If it is incomplete, what there is of
// it moves to the spill buffer.
func (p *Parser) wholeHead(in []byte) (used int) {
	block := in
	if most := p.maxHeader(); len(block) > most {
		block = block[:most]
	}
	var known *Heads
	if p.limits != nil {
		known = p.limits.Heads
	}
	if end := known.recall(p, block); end > 0 {
		p.headDone()
		return end
	}
	fields, fault := p.statusLine(block)
	if fault != 0 {
		p.fail(fault)
		return 0
	}
	next, end := 0, 0
	if fields > 0 {
		next, end, fault = p.fieldLines(block, fields)
		if fault != 0 {
			p.fail(fault)
			return 0
		}
	}
	if end > 0 {
		if next > fields {
			p.head, p.headLen = &block[fields], uint32(next-fields)
		}
		known.note(p, block[:end], fields)
		p.headDone()
		return end
	}
	if len(block) < len(in) {
		p.fail(ErrHeaderTooLarge)
		return 0
	}
	p.spillWhole(block)
	p.spill.line, p.spill.fields = next, fields
	return len(in)
}

// cutHead continues a head in the spill buffer, line by line, so that nothing
// behind the head is copied and no byte is looked at again until its line is
// complete.
func (p *Parser) cutHead(in []byte) (used int) {
	for used < len(in) {
		piece := in[used:]
		if end := bytes.IndexByte(piece, '\n'); end >= 0 {
			piece = piece[:end+1]
		}
		most := p.maxHeader()
		room := most - len(p.spill.buf)
		fits := piece[:min(len(piece), room)]
		p.spillWhole(fits)
		used += len(fits)
		if done := p.cutLine(len(fits) > 0 && fits[len(fits)-1] == '\n'); done || p.state == failed {
			return used
		}
		if len(fits) < len(piece) {
			p.fail(ErrHeaderTooLarge)
			return used
		}
	}
	return used
}

// cutLine parses the last line of the spill buffer, if it is whole, and reports
// whether it completed the head.
func (p *Parser) cutLine(whole bool) (done bool) {
	s := p.spill
	if !whole {
		if p.status == 0 {
			if fault := prefixFault(s.buf); fault != 0 {
				p.fail(fault)
			}
		}
		return false
	}
	if s.fields == 0 {
		fields, fault := p.statusLine(s.buf)
		if fault != 0 {
			p.fail(fault)
		}
		s.line, s.fields = fields, fields
		return false
	}
	next, end, fault := p.fieldLines(s.buf, s.line)
	if fault != 0 {
		p.fail(fault)
		return false
	}
	s.line = next
	if end == 0 {
		return false
	}
	n := copy(s.buf, s.buf[s.fields:next])
	s.buf, p.headLen = s.buf[:n], uint32(n)
	p.headDone()
	return true
}

// statusLine parses the status line at the front of b and returns where the
// next line begins, 0 if the line is incomplete.
func (p *Parser) statusLine(b []byte) (next int, fault Error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return 0, prefixFault(b)
	}
	line := b[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	// "HTTP/1.1 200 reason"; the space before an empty reason may be missing.
	if len(line) < 12 || string(line[:7]) != "HTTP/1." {
		if fault := prefixFault(line); fault != 0 {
			return 0, fault
		}
		return 0, ErrStatusLine
	}
	minor, c2, c1, c0 := line[7]-'0', line[9]-'0', line[10]-'0', line[11]-'0'
	if minor > 9 || line[8] != ' ' || c2 < 1 || c2 > 9 || c1 > 9 || c0 > 9 {
		return 0, ErrStatusLine
	}
	if len(line) > 12 && (line[12] != ' ' || textEnd(line, 13) < len(line)) {
		return 0, ErrStatusLine
	}
	p.status = uint16(c2)*100 + uint16(c1)*10 + uint16(c0)
	if minor == 0 {
		p.flags |= version10
	}
	if c2 == 1 {
		if p.status == 101 {
			return 0, ErrSwitching
		}
		if int(p.interim) >= p.maxInterim() {
			return 0, ErrInformational
		}
	}
	return end + 1, 0
}

// prefixFault judges a status line by what has come of it, so that a server
// that speaks another protocol is named at once and not by a timeout.
func prefixFault(b []byte) Error {
	const prefix = "HTTP/1."
	for i := range min(len(b), len(prefix)) {
		if b[i] == prefix[i] {
			continue
		}
		switch {
		case i == 0 && (b[0] == 0x15 || b[0] == 0x16): // TLS alert, handshake
			return ErrTLS
		case i == len("HTTP/") && '0' <= b[i] && b[i] <= '9':
			return ErrVersion
		}
		return ErrStatusLine
	}
	return 0
}

// fieldLines parses the complete lines of b from b[at:] on. It returns where
// the first line begins that is incomplete or empty, and in the latter case
// also where the empty line ends, that is the end of the head.
func (p *Parser) fieldLines(b []byte, at int) (next, end int, fault Error) {
	for {
		i := at
		for i < len(b) && token[b[i]] != 0 {
			i++
		}
		if i == len(b) {
			return at, 0, 0
		}
		if b[i] != ':' || i == at {
			if b[i] == '\r' && i == at && i+1 < len(b) && b[i+1] == '\n' {
				return at, i + 2, 0
			}
			if b[i] == '\n' && i == at {
				return at, i + 1, 0
			}
			return at, 0, lineFault(b[at:])
		}
		name := b[at:i]
		j := textEnd(b, i+1)
		if j == len(b) {
			return at, 0, 0
		}
		after := j + 1
		if b[j] == '\r' && after < len(b) && b[after] == '\n' {
			after++
		} else if b[j] != '\n' {
			return at, 0, lineFault(b[at:])
		}
		// Of all fields three decide where the response ends and what follows,
		// and three are noted; most others differ from them in length alone.
		switch len(name) {
		case len("connection"), len("content-length"), len("transfer-encoding"):
			if fault := p.framingField(name, b[i+1:j]); fault != 0 {
				return at, 0, fault
			}
		case len("location"), len("content-encoding"):
			p.noteField(name, b[i+1:j])
		}
		at = after
	}
}

var colon = []byte{':'}

// lineFault says what is wrong with the odd line at the front of b, once the
// line is complete: only then is the answer independent of how it was cut.
func lineFault(b []byte) Error {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return 0
	}
	line := b[:end]
	if line[0] == ' ' || line[0] == '\t' {
		return ErrFold
	}
	for i, c := range line {
		switch {
		case token[c] != 0:
		case c == ':' && i > 0: // the name is good, so it is the value
			return ErrControl
		case bytes.HasPrefix(trim(line[i:]), colon) && i > 0:
			return ErrSpace
		default:
			return ErrHeader
		}
	}
	return ErrHeader
}

func (p *Parser) framingField(name, value []byte) Error {
	switch {
	case equalFold(name, "content-length"):
		n, ok := parseLength(trim(value))
		switch {
		case !ok:
			return ErrLength
		case p.flags&hasLength != 0 && n != p.left:
			return ErrLengthConflict
		}
		p.left = n
		p.flags |= hasLength
	case equalFold(name, "transfer-encoding"):
		if p.flags&(isChunked|version10) != 0 || !equalFold(trim(value), "chunked") {
			return ErrTransferEncoding
		}
		p.flags |= isChunked
	case equalFold(name, "connection"):
		for item := range items(value) {
			switch {
			case equalFold(item, "close"):
				p.flags |= wantsClose
			case equalFold(item, "keep-alive"):
				p.flags |= wantsKeep
			}
		}
	default: // it is as long as Connection
		p.noteField(name, value)
	}
	return 0
}

// noteField notes the fields that a caller may want to look at.
func (p *Parser) noteField(name, value []byte) {
	switch {
	case equalFold(name, "set-cookie"):
		p.flags |= hasCookie
	case equalFold(name, "location"):
		p.flags |= hasLocation
	case equalFold(name, "content-encoding"):
		for coding := range items(value) {
			if !equalFold(coding, "identity") {
				p.flags |= isEncoded
			}
		}
	}
}

// parseLength reads 1*DIGIT below 2^63.
func parseLength(b []byte) (n int64, ok bool) {
	const most = 1<<63 - 1
	for _, c := range b {
		d := int64(c - '0')
		if d > 9 || n > most/10 || n*10 > most-d {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}

// headDone decides how the body is framed (RFC 9112, section 6.3), or goes back
// for the next head after an informational one.
func (p *Parser) headDone() {
	if p.status < 200 {
		p.dropSpill()
		p.flags &^= fromHead
		p.head, p.headLen, p.status, p.left = nil, 0, 0, 0
		p.interim++
		return
	}
	const both = hasLength | isChunked
	switch {
	case p.flags&both == both:
		p.fail(ErrLengthChunked)
	case p.flags&isHead != 0 || p.status == 204 || p.status == 304:
		p.state = complete
	case p.flags&isChunked != 0:
		p.state = sizeFirst
	case p.flags&hasLength == 0:
		p.state = untilClose
	case p.left == 0:
		p.state = complete
	case p.flags&keepBody != 0 && p.left > p.maxBody():
		p.fail(ErrBodyTooLarge)
	default:
		p.state = inLength
	}
}
