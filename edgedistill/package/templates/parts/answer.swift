        guard let value = answer[output] else { throw {{ classifier }}Error.badAnswer(output) }
        let data = try value.tensorData() as Data
        guard data.count == {{ classifier }}.labels.count * MemoryLayout<Float>.stride else {
            throw {{ classifier }}Error.badAnswer("\(data.count) bytes of \(output)")
        }
        return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
