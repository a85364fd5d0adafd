// Command bench answers whether io_uring, and ouro, are worth it on this machine: it compares ouro in each of its faces
// and on each of its backends with package net, with other libraries, and with servers in C that show what the kernel
// allows.
//
//	go run ./bench                                      about a minute: echo, 64 connections
//	go run ./bench quick --html report.html             every scenario, about three minutes
//	go run ./bench full --json results.json             everything with everybody, unattended
//	go run ./bench --scenario http --mode same,free --conns 1,64,1000 --time 10m
//	go run ./bench list                                 scenarios and contestants
//	go run ./bench build --out DIR                      all programs, static, for a machine without compilers
//
// Each measurement runs a fresh program, which is this one executed again or a module or C program of its own, and a
// fresh load generator. It needs Linux 5.11; C programs also need gcc and liburing's development files, other libraries
// their modules, and what cannot be built is reported and left out. It measures over loopback only, so network cards and
// zero-copy sends to them are out of its sight.
package main
