package httpwire

import "unsafe"

// feedBody takes body bytes until the response is complete or in is used up.
func (p *Parser) feedBody(in []byte) (used int) {
	switch p.state {
	case inLength:
		used = int(min(int64(len(in)), p.left))
		p.take(in[:used])
		if p.left -= int64(used); p.left == 0 {
			p.state = complete
		}
		return used
	case untilClose:
		used = len(in)
		if p.flags&keepBody != 0 {
			if room := p.maxBody() - p.got; int64(used) > room {
				p.got += room
				p.fail(ErrBodyTooLarge)
				return int(room)
			}
		}
		p.take(in)
		return used
	}
	return p.feedChunks(in)
}

// take counts a piece of the body and keeps it if wanted: the first piece only
// by reference, because it is often the whole.
func (p *Parser) take(data []byte) {
	if p.flags&keepBody != 0 && len(data) > 0 {
		if p.got == 0 {
			p.body = &data[0]
		} else {
			p.settle()
			p.spillBody(data)
		}
	}
	p.got += int64(len(data))
}

// settle moves what is still borrowed from the fed bytes to the spill buffer:
// the header first, so that the body stands behind it.
func (p *Parser) settle() {
	if p.spill == nil && p.headLen > 0 {
		p.spillWhole(unsafe.Slice(p.head, p.headLen))
		p.head = nil
	}
	if p.body != nil {
		p.spillBody(unsafe.Slice(p.body, p.got))
		p.body = nil
	}
}

// maxChunkLine bounds a chunk-size line with its extensions, in bytes.
const maxChunkLine = 4 << 10

// feedChunks decodes chunked coding (RFC 9112, section 7.1). Extensions and
// trailers are checked, bounded and dropped.
func (p *Parser) feedChunks(in []byte) (used int) {
	for used < len(in) {
		if p.state == chunkData {
			n := int(min(int64(len(in)-used), p.left))
			p.take(in[used : used+n])
			used += n
			if p.left -= int64(n); p.left == 0 {
				p.state = chunkCR
			}
			continue
		}
		fault := p.chunkByte(in[used])
		used++
		if fault != 0 {
			p.fail(fault)
			return used
		}
		if p.state == complete {
			return used
		}
	}
	return used
}

func (p *Parser) chunkByte(c byte) Error {
	switch p.state {
	case chunkCR:
		if c != '\r' {
			return ErrChunk
		}
		p.state = chunkLF
		return 0
	case chunkLF:
		if c != '\n' {
			return ErrChunk
		}
		p.state, p.line, p.left = sizeFirst, 0, 0
		return 0
	case trailerLine, trailerName, trailerValue, trailerLF, lastLF:
		return p.trailerByte(c)
	}

	if p.line++; p.line > maxChunkLine {
		return ErrChunk
	}
	switch p.state {
	case sizeFirst, size:
		if d := hex(c); d < 16 {
			if p.left > (1<<63-1)>>4 {
				return ErrChunk
			}
			p.left = p.left<<4 | int64(d)
			p.state = size
			return 0
		}
		if p.state == sizeFirst {
			return ErrChunk
		}
		return p.sizeEnd(c)
	case sizeSpace:
		return p.sizeEnd(c)
	case sizeExtension:
		if c == '\r' {
			p.state = sizeLF
			return 0
		}
		if c < 0x20 && c != '\t' || c == 0x7f {
			return ErrChunk
		}
		return 0
	}
	// sizeLF
	switch {
	case c != '\n':
		return ErrChunk
	case p.left == 0:
		p.state, p.line = trailerLine, 0
	case p.flags&keepBody != 0 && p.left > p.maxBody()-p.got:
		return ErrBodyTooLarge
	default:
		p.state = chunkData
	}
	return 0
}

// sizeEnd takes what may follow the digits of a chunk size.
func (p *Parser) sizeEnd(c byte) Error {
	switch c {
	case '\r':
		p.state = sizeLF
	case ';':
		p.state = sizeExtension
	case ' ', '\t':
		p.state = sizeSpace
	default:
		return ErrChunk
	}
	return 0
}

func (p *Parser) trailerByte(c byte) Error {
	if p.line++; int(p.line) > p.maxHeader() {
		return ErrHeaderTooLarge
	}
	switch p.state {
	case trailerLine:
		switch {
		case token[c] != 0:
			p.state = trailerName
		case c == '\r':
			p.state = lastLF
		case c == '\n':
			p.state = complete
		case c == ' ' || c == '\t':
			return ErrFold
		default:
			return ErrHeader
		}
	case trailerName:
		switch {
		case token[c] != 0:
		case c == ':':
			p.state = trailerValue
		case c == ' ' || c == '\t':
			return ErrSpace
		default:
			return ErrHeader
		}
	case trailerValue:
		switch {
		case c == '\r':
			p.state = trailerLF
		case c == '\n':
			p.state = trailerLine
		case c < 0x20 && c != '\t' || c == 0x7f:
			return ErrControl
		}
	case trailerLF:
		if c != '\n' {
			return ErrControl
		}
		p.state = trailerLine
	case lastLF:
		if c != '\n' {
			return ErrHeader
		}
		p.state = complete
	}
	return 0
}

// hex is the value of a hexadecimal digit, 16 or more for any other byte.
func hex(c byte) byte {
	if d := c - '0'; d <= 9 {
		return d
	}
	if d := c | 0x20 - 'a'; d <= 5 {
		return d + 10
	}
	return 16
}
