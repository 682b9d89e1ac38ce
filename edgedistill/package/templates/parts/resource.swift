    static func resource(_ name: String) throws -> URL {
        guard let url = Bundle.module.url(forResource: name, withExtension: nil) else {
            throw {{ classifier }}Error.missingFile(name)
        }
        return url
    }
