// SPDX-License-Identifier: GPL-3.0-or-later
import NIOCore
import NIOHTTPTypes

/// Closes a connection on which a request is not answered in time: its body comes a byte at a time, or its answer is not
/// read. Hummingbird's idle timeout sees neither.
final class RequestDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limit: TimeAmount
    private var deadline: Scheduled<Void>?
    /// Requests of which the answer is not written yet; a client may ask several at once.
    private var unanswered = 0

    init(after limit: TimeAmount) { self.limit = limit }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head = unwrapInboundIn(data) {
            unanswered += 1
            if unanswered == 1 { begin(context.channel) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        let written = promise ?? context.eventLoop.makePromise()
        let this = NIOLoopBound((handler: self, channel: context.channel), eventLoop: context.eventLoop)
        written.futureResult.whenSuccess { this.value.handler.answered(this.value.channel) }
        context.write(data, promise: written)
    }

    private func begin(_ channel: any Channel) {
        deadline = channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    /// The next one has its own time.
    private func answered(_ channel: any Channel) {
        cancel()
        unanswered -= 1
        if unanswered > 0 { begin(channel) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        cancel()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { cancel() }

    private func cancel() {
        deadline?.cancel()
        deadline = nil
    }
}
