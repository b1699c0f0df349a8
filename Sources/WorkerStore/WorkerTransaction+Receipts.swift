// SPDX-License-Identifier: GPL-3.0-or-later
import GRDB
import Wire

extension WorkerTransaction {
    /// The worker's own receipts as they are now.
    public func receipts() throws -> ReceiptBook {
        let row = try Row.fetchOne(db, sql: "SELECT state, serial, voids FROM receipt_book")
        guard let row, let book = ReceiptBook(state: row["state"], serial: row["serial"], voids: row["voids"]) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the table receipt_book holds no book")
        }
        return book
    }

    /// The receipt for what this transaction commits.
    public func nextReceipt() throws -> Receipt {
        let row = try Row.fetchOne(db, sql: "UPDATE receipt_book SET serial = serial + 1 RETURNING state, serial")
        guard let row else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the table receipt_book holds no book")
        }
        return Receipt(state: row["state"], serial: row["serial"])
    }

    /// `ReceiptBook.jump`, once after each opening.
    func jumpReceipts() throws {
        var book = try receipts()
        book.jump()
        try db.execute(
            sql: "UPDATE receipt_book SET serial = ?, voids = ?", arguments: [book.serial, book.voidsText])
    }
}
