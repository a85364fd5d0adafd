//go:build linux

package net

import "io"

// opError is the error of an operation that concerns both ends, as the standard library makes it. It is not inlined,
// so that the frames of the paths without an error stay small.
//
//go:noinline
func (c *stream) opError(op string, err error) error {
	switch {
	case err == io.EOF && c.network == "unixgram":
		return nil // an empty datagram
	case err == nil, err == io.EOF:
		return err
	}
	return &OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// ownError is the error of an operation that concerns this end only.
//
//go:noinline
func (c *stream) ownError(op string, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: op, Net: c.network, Addr: c.LocalAddr(), Err: err}
}
