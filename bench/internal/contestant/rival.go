package contestant

import "github.com/ouro-io/ouro/bench/protocol"

// noLinkCheck lets modules link that reach into package syscall by linkname, which Go refuses since 1.23.
const noLinkCheck = "-checklinkname=0"

// rivals are modules of their own below bench/rivals, each with the versions that it needs.
func rivals() []*Contestant {
	stream := []protocol.Role{protocol.Echo, protocol.Sink, protocol.HTTP, protocol.Work}
	with := func(more ...protocol.Role) []protocol.Role {
		return append(append([]protocol.Role(nil), stream...), more...)
	}
	return []*Contestant{
		{Name: "gnet", About: "gnet 2.9.7, epoll: an event loop per P, callbacks", Module: "gnet",
			Roles: with(protocol.UDP, protocol.Broadcast, protocol.Block)},
		{Name: "netpoll", About: "netpoll 0.7.2, epoll: handlers on a pool of goroutines", Module: "netpoll",
			Roles: with(protocol.Block)},
		{Name: "nbio", About: "nbio 1.6.7, epoll: callbacks", Module: "nbio",
			Roles: with(protocol.Broadcast, protocol.Block)},
		{Name: "evio", About: "evio 1.0.8, epoll: callbacks", Module: "evio", Roles: with(protocol.UDP)},
		{Name: "rio", About: "rio 1.0.0, io_uring: package net's API on goroutines", Module: "rio",
			Roles: with(protocol.UDP, protocol.Block)},
		{Name: "gain", About: "gain 0.4.0-alpha, io_uring: callbacks", Module: "gain", LDFlags: noLinkCheck,
			Roles: with(protocol.UDP)},
		{Name: "iouring-go", About: "iceber/iouring-go, one ring, goroutines that wait on channels", Module: "iouring",
			LDFlags: noLinkCheck,
			Roles:   []protocol.Role{protocol.Echo, protocol.Sink, protocol.Work, protocol.Block, protocol.File}},
	}
}

// limits are the programs in C.
func limits() []*Contestant {
	stream := []protocol.Role{protocol.Echo, protocol.Sink, protocol.HTTP, protocol.UDP}
	return []*Contestant{
		{Name: Limit, About: "C, io_uring: multishot, buffer ring, direct descriptors, DEFER_TASKRUN; the limit",
			C: "uring", Libs: []string{"-luring"}, Roles: stream},
		{Name: "c-epoll", About: "C, epoll: one thread, direct read and write", C: "epoll", Roles: stream},
		{Name: "c-file", About: "C, io_uring: one thread that keeps all reads in flight; the limit", C: "file",
			Libs: []string{"-luring"}, Roles: []protocol.Role{protocol.File}},
	}
}
